/* Names for containers that were given none: an adjective and a person of science, as people know them from Docker. */
#include "container/container.h"

#include <stdio.h>
#include <sys/random.h>

static const char *const left[] = {
    "able",   "agile",  "amber",  "ample",  "brave",  "bright", "brisk",  "calm",   "candid", "clever", "cosmic",
    "crisp",  "dapper", "daring", "eager",  "earnest", "fair",  "fluent", "frank",  "gentle", "glad",   "golden",
    "handy",  "hardy",  "honest", "humble", "ideal",  "jolly",  "keen",   "kind",   "lively", "lucid",  "merry",
    "modest", "neat",   "nimble", "noble",  "patient", "placid", "polite", "proud", "quick",  "quiet",  "robust",
    "serene", "sharp",  "silent", "smooth", "solid",  "steady", "subtle", "sunny",  "tidy",   "upbeat", "vivid",
    "warm",   "wise",   "witty",  "young",  "zesty",
};

static const char *const right[] = {
    "abel",     "agnesi",   "ampere",  "babbage", "banach",  "bernoulli", "bohr",    "boole",   "cantor",  "cauchy",
    "chandra",  "church",   "clarke",  "curie",   "dijkstra", "dirac",    "euler",   "faraday", "fermat",  "franklin",
    "galois",   "gauss",    "germain", "goedel",  "hamilton", "hertz",    "hilbert", "hopper",  "huygens", "hypatia",
    "johnson",  "kepler",   "knuth",   "kolmogorov", "lamport", "laplace", "leibniz", "liskov", "lovelace", "maxwell",
    "meitner",  "mendel",   "mirzakhani", "nash",  "newton",  "noether",  "pascal",  "planck",  "ramanujan", "ritchie",
    "riemann",  "shannon",  "tarski",  "tesla",   "thompson", "turing",   "volta",   "wiles",   "wirth",   "yalow",
};

int container_make_name(char *out, size_t size, unsigned attempt, box_error **err)
{
    unsigned random[2];

    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return box_fail_sys(err, "getrandom", NULL, "make up a name");
    const char *l = left[random[0] % BOX_ARRAY(left)], *r = right[random[1] % BOX_ARRAY(right)];
    if (attempt < 3)
        snprintf(out, size, "%s_%s", l, r);
    else
        snprintf(out, size, "%s_%s%u", l, r, random[0] / 7 % 10000);
    return 0;
}
