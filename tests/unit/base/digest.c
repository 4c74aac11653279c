#include <pthread.h>

#include "base/digest.h"
#include "base/libcrypto.h"
#include "scratch.h"

/* FIPS 180-4 examples, and what coreutils say of the rest. */
static const struct {
    const char *text;
    const char *sha256, *sha512;
} known[] = {
    {"", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "sha512:"
     "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931b"
     "d47417a81a538327af927da3e"},
    {"abc", "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
     "sha512:"
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d442"
     "3643ce80e2a9ac94fa54ca49f"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "sha256:248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
     "sha512:"
     "204a8fc6dda82f0a0ced7beb8e08a41657c16ef468b228a8279be331a703c33596fd15c13b1b07f9aa1d3bea57789ca031ad85c"
     "7a71dd70354ec631238ca3445"},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrs"
     "tnopqrstu",
     "sha256:cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1",
     "sha512:"
     "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4b5433ac7d329e"
     "eb6dd26545e96e55b874be909"},
};

static const char *digest_of(struct box_digester *digester, const void *data, size_t length)
{
    static char text[BOX_DIGEST_TEXT];
    struct box_digest digest;

    cr_assert_not_null(digester);
    box_digester_update(digester, data, length);
    cr_assert_eq(box_digester_finish(digester, &digest, NULL), 0);
    box_digester_free(digester);
    return box_digest_format(&digest, text);
}

Test(digest, known_answers_come_out_of_both_implementations)
{
    for (size_t i = 0; i < BOX_ARRAY(known); i++) {
        size_t n = strlen(known[i].text);
        cr_expect_str_eq(digest_of(box_digester_new(BOX_SHA256, NULL), known[i].text, n), known[i].sha256);
        cr_expect_str_eq(digest_of(box_digester_new(BOX_SHA512, NULL), known[i].text, n), known[i].sha512);
        cr_expect_str_eq(digest_of(box_digester_new_builtin(BOX_SHA256, NULL), known[i].text, n),
                         known[i].sha256);
        cr_expect_str_eq(digest_of(box_digester_new_builtin(BOX_SHA512, NULL), known[i].text, n),
                         known[i].sha512);
    }
}

Test(digest, million_letters)
{
    static char a[1000000];

    memset(a, 'a', sizeof(a));
    cr_assert_str_eq(digest_of(box_digester_new_builtin(BOX_SHA256, NULL), a, sizeof(a)),
                     "sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    cr_assert_str_eq(digest_of(box_digester_new_builtin(BOX_SHA512, NULL), a, sizeof(a)),
                     "sha512:"
                     "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973ebde0ff244877ea60a4cb0432"
                     "ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b");
}

Test(digest, implementations_agree_on_every_length_around_a_block_however_it_is_cut)
{
    unsigned char data[400];
    char expected[BOX_DIGEST_TEXT];

    if (!box_libcrypto())
        cr_skip_test("libcrypto is not installed");
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 31 + 7);
    for (int algorithm = BOX_SHA256; algorithm <= BOX_SHA512; algorithm++)
        for (size_t length = 0; length <= sizeof(data); length++) {
            struct box_digester *d = box_digester_new_builtin((enum box_digest_algorithm)algorithm, NULL);
            strcpy(expected,
                   digest_of(box_digester_new((enum box_digest_algorithm)algorithm, NULL), data, length));
            size_t cut = length * 5 / 7, at = 0;
            for (; at + 13 < cut; at += 13)
                box_digester_update(d, data + at, 13);
            box_digester_update(d, data + at, cut - at);
            cr_assert_str_eq(digest_of(d, data + cut, length - cut), expected);
        }
}

Test(digest, parsing_takes_the_written_form_and_nothing_else)
{
    static const struct {
        const char *text;
        int result;
    } table[] = {
        {"sha256:", BOX_EPARSE},
        {"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a", BOX_EPARSE},
        {"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015add", BOX_EPARSE},
        {"sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD", BOX_EPARSE},
        {"sha256:ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", BOX_EPARSE},
        {"sha256:../../../../../../../../../../../../../../../../../../../etc/pas", BOX_EPARSE},
        {" sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", BOX_EPARSE},
        {"SHA256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", BOX_EPARSE},
        {"sha512:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", BOX_EPARSE},
        {"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", BOX_EPARSE},
        {"", BOX_EPARSE},
        {"md5:d41d8cd98f00b204e9800998ecf8427e", BOX_EUNSUPPORTED},
        {"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 0},
    };

    for (size_t i = 0; i < BOX_ARRAY(table); i++) {
        struct box_digest digest = {0};
        char text[BOX_DIGEST_TEXT];
        int r = box_digest_parse(table[i].text, &digest, NULL);
        cr_expect_eq(r, table[i].result, "\"%s\": %d", table[i].text, r);
        cr_expect_eq(digest.algorithm != 0, r == 0);
        if (r == 0)
            cr_expect_str_eq(box_digest_format(&digest, text), table[i].text);
    }
    for (size_t i = 0; i < BOX_ARRAY(known); i++) {
        struct box_digest digest;
        char text[BOX_DIGEST_TEXT];
        cr_expect_eq(box_digest_parse(known[i].sha512, &digest, NULL), 0);
        cr_expect_str_eq(box_digest_format(&digest, text), known[i].sha512);
        cr_expect_str_eq(box_digest_hex(&digest, text), known[i].sha512 + 7);
    }
}

Test(digest, difference_is_an_error_that_shows_both)
{
    _cleanup_(box_error) box_error *err = NULL;
    struct box_digest a, b;

    cr_assert_eq(box_digest_data(BOX_SHA256, "a", 1, &a, NULL), 0);
    cr_assert_eq(box_digest_data(BOX_SHA256, "b", 1, &b, NULL), 0);
    cr_assert_eq(box_digest_check(&a, &a, "layer", NULL), 0);
    cr_assert_eq(box_digest_check(&a, &b, "layer", &err), BOX_EDIGEST);
    cr_assert_str_eq(
        box_error_message(err),
        "layer: sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb expected, "
        "sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d found");
    cr_assert_eq(box_digest_data(BOX_SHA512, "a", 1, &b, NULL), 0);
    cr_assert_not(box_digest_equal(&a, &b), "the algorithm counts");
    cr_assert_eq(box_digest_data((enum box_digest_algorithm)9, "a", 1, &b, NULL), BOX_EINVAL);
}

Test(digest, of_a_file_with_its_size, .init = scratch_make, .fini = scratch_remove)
{
    struct box_digest digest, expected;
    uint64_t size = 0;

    put_file("f", "some content");
    int fd = openat(scratch_fd, "f", O_RDONLY | O_CLOEXEC);
    cr_assert_eq(box_digest_fd(BOX_SHA256, fd, &digest, &size, NULL), 0);
    cr_assert_eq(size, 12);
    cr_assert_eq(box_digest_data(BOX_SHA256, "some content", 12, &expected, NULL), 0);
    cr_assert(box_digest_equal(&digest, &expected));
    close(fd);
    cr_assert_lt(box_digest_fd(BOX_SHA256, scratch_fd, &digest, NULL, NULL), 0, "a directory cannot be read");
}

static void *digest_many(void *wrong)
{
    for (int i = 0; i < 200; i++) {
        struct box_digest digest;
        char text[BOX_DIGEST_TEXT];
        box_digest_data(BOX_SHA256, "abc", 3, &digest, NULL);
        if (strcmp(box_digest_format(&digest, text), known[1].sha256) != 0)
            *(int *)wrong = 1;
    }
    return NULL;
}

Test(digest, threads_that_open_libcrypto_at_once_get_the_same_digests)
{
    pthread_t threads[8];
    int wrong[8] = {0};

    for (int i = 0; i < 8; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, digest_many, &wrong[i]), 0);
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        cr_expect_eq(wrong[i], 0);
    }
}
