/* libcurl, opened when the first request is made: a table of the functions that are used, and the numbers of
 * its options, which are part of its ABI. No header of its is needed to build; a unit test holds these against
 * the header where that is installed. Manual pages: libcurl-easy(3), libcurl-multi(3), curl_easy_setopt(3). */
#ifndef BOX_REGISTRY_CURL_H
#define BOX_REGISTRY_CURL_H

#include <stddef.h>

#include "base/fail.h"

#define BOX_CURL_LONG     0
#define BOX_CURL_POINTER  10000
#define BOX_CURL_FUNCTION 20000
#define BOX_CURL_OFFSET   30000
#define BOX_CURL_BLOB     40000

enum box_curl_option {
    BOX_CURLOPT_WRITEDATA = BOX_CURL_POINTER + 1,
    BOX_CURLOPT_URL = BOX_CURL_POINTER + 2,
    BOX_CURLOPT_PROXY = BOX_CURL_POINTER + 4,
    BOX_CURLOPT_READDATA = BOX_CURL_POINTER + 9,
    BOX_CURLOPT_ERRORBUFFER = BOX_CURL_POINTER + 10,
    BOX_CURLOPT_WRITEFUNCTION = BOX_CURL_FUNCTION + 11,
    BOX_CURLOPT_READFUNCTION = BOX_CURL_FUNCTION + 12,
    BOX_CURLOPT_USERAGENT = BOX_CURL_POINTER + 18,
    BOX_CURLOPT_HTTPHEADER = BOX_CURL_POINTER + 23,
    BOX_CURLOPT_SSLCERT = BOX_CURL_POINTER + 25,
    BOX_CURLOPT_HEADERDATA = BOX_CURL_POINTER + 29,
    BOX_CURLOPT_SSLVERSION = BOX_CURL_LONG + 32,
    BOX_CURLOPT_CUSTOMREQUEST = BOX_CURL_POINTER + 36,
    BOX_CURLOPT_NOBODY = BOX_CURL_LONG + 44,
    BOX_CURLOPT_UPLOAD = BOX_CURL_LONG + 46,
    BOX_CURLOPT_SSL_VERIFYPEER = BOX_CURL_LONG + 64,
    BOX_CURLOPT_HEADERFUNCTION = BOX_CURL_FUNCTION + 79,
    BOX_CURLOPT_SSL_VERIFYHOST = BOX_CURL_LONG + 81,
    BOX_CURLOPT_SSLKEY = BOX_CURL_POINTER + 87,
    BOX_CURLOPT_BUFFERSIZE = BOX_CURL_LONG + 98,
    BOX_CURLOPT_NOSIGNAL = BOX_CURL_LONG + 99,
    BOX_CURLOPT_INFILESIZE_LARGE = BOX_CURL_OFFSET + 115,
    BOX_CURLOPT_CONNECTTIMEOUT_MS = BOX_CURL_LONG + 156,
    BOX_CURLOPT_SEEKFUNCTION = BOX_CURL_FUNCTION + 167,
    BOX_CURLOPT_SEEKDATA = BOX_CURL_POINTER + 168,
    BOX_CURLOPT_NOPROXY = BOX_CURL_POINTER + 177,
    BOX_CURLOPT_PROTOCOLS = BOX_CURL_LONG + 181,
    BOX_CURLOPT_PATH_AS_IS = BOX_CURL_LONG + 234,
    BOX_CURLOPT_SUPPRESS_CONNECT_HEADERS = BOX_CURL_LONG + 265,
    BOX_CURLOPT_UPLOAD_BUFFERSIZE = BOX_CURL_LONG + 280,
    BOX_CURLOPT_CAINFO_BLOB = BOX_CURL_BLOB + 309,
};

/* Results of an easy transfer that are told apart. */
enum box_curl_code {
    BOX_CURLE_OK = 0,
    BOX_CURLE_UNSUPPORTED_PROTOCOL = 1,
    BOX_CURLE_URL_MALFORMAT = 3,
    BOX_CURLE_COULDNT_RESOLVE_PROXY = 5,
    BOX_CURLE_COULDNT_RESOLVE_HOST = 6,
    BOX_CURLE_COULDNT_CONNECT = 7,
    BOX_CURLE_WRITE_ERROR = 23,
    BOX_CURLE_OUT_OF_MEMORY = 27,
    BOX_CURLE_OPERATION_TIMEDOUT = 28,
    BOX_CURLE_SSL_CONNECT_ERROR = 35,
    BOX_CURLE_ABORTED_BY_CALLBACK = 42,
    BOX_CURLE_SSL_CERTPROBLEM = 58,
    BOX_CURLE_PEER_FAILED_VERIFICATION = 60,
    BOX_CURLE_SSL_CACERT_BADFILE = 77,
};

#define BOX_CURL_PROTO_HTTP            (1 << 0)
#define BOX_CURL_PROTO_HTTPS           (1 << 1)
#define BOX_CURL_SSLVERSION_TLSv1_2    6
#define BOX_CURL_READFUNC_ABORT        0x10000000
#define BOX_CURL_WAIT_POLLIN           0x0001
#define BOX_CURLINFO_RESPONSE_CODE     (0x200000 + 2)
#define BOX_CURL_GLOBAL_DEFAULT        3
#define BOX_CURL_VERSION_THREADSAFE    (1 << 30)
#define BOX_CURL_BLOB_NOCOPY           0
#define BOX_CURL_MSG_DONE              1

struct curl_slist;

struct box_curl_waitfd {
    int fd;
    short events, revents;
};
struct box_curl_message {
    int kind;
    void *easy;
    union {
        void *whatever;
        int result;
    } data;
};
struct box_curl_blob {
    const void *data;
    size_t length;
    unsigned flags;
};

struct box_curl {
    int (*global_init)(long flags);
    const void *(*version_info)(int age);
    void *(*easy_init)(void);
    void (*easy_cleanup)(void *easy);
    void (*easy_reset)(void *easy);
    int (*easy_setopt)(void *easy, int option, ...);
    int (*easy_getinfo)(void *easy, int what, ...);
    const char *(*easy_strerror)(int code);
    struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
    void (*slist_free_all)(struct curl_slist *list);
    void *(*multi_init)(void);
    int (*multi_cleanup)(void *multi);
    int (*multi_add_handle)(void *multi, void *easy);
    int (*multi_remove_handle)(void *multi, void *easy);
    int (*multi_perform)(void *multi, int *running);
    int (*multi_poll)(void *multi, struct box_curl_waitfd *extra, unsigned n_extra, int timeout_ms, int *ready);
    struct box_curl_message *(*multi_info_read)(void *multi, int *left);
};

/* The table; NULL with BOX_ELIBRARY when libcurl is not installed. */
const struct box_curl *box_curl(box_error **err);
/* The file of CAs that this libcurl trusts, or NULL where it says none. Static. */
const char *box_curl_cainfo(const struct box_curl *curl);

#endif
