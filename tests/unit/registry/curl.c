/* The numbers that libcurl is called with, against its own header where that is installed. */
#include <criterion/criterion.h>
#include <string.h>

#include "registry/curl.h"

#if __has_include(<curl/curl.h>)
#include <curl/curl.h>
/* The options' checks by type are macros over these names. */
#define SAME(name) cr_assert_eq((int)BOX_##name, (int)(name), #name)

Test(registry_curl, options_have_the_numbers_of_the_header)
{
    SAME(CURLOPT_WRITEDATA); SAME(CURLOPT_URL); SAME(CURLOPT_PROXY); SAME(CURLOPT_READDATA); SAME(CURLOPT_ERRORBUFFER);
    SAME(CURLOPT_WRITEFUNCTION); SAME(CURLOPT_READFUNCTION); SAME(CURLOPT_USERAGENT); SAME(CURLOPT_HTTPHEADER);
    SAME(CURLOPT_SSLCERT); SAME(CURLOPT_HEADERDATA); SAME(CURLOPT_SSLVERSION); SAME(CURLOPT_CUSTOMREQUEST);
    SAME(CURLOPT_NOBODY); SAME(CURLOPT_UPLOAD); SAME(CURLOPT_SSL_VERIFYPEER); SAME(CURLOPT_HEADERFUNCTION);
    SAME(CURLOPT_SSL_VERIFYHOST); SAME(CURLOPT_SSLKEY); SAME(CURLOPT_BUFFERSIZE); SAME(CURLOPT_NOSIGNAL);
    SAME(CURLOPT_INFILESIZE_LARGE); SAME(CURLOPT_CONNECTTIMEOUT_MS); SAME(CURLOPT_SEEKFUNCTION); SAME(CURLOPT_SEEKDATA);
    SAME(CURLOPT_NOPROXY); SAME(CURLOPT_PATH_AS_IS); SAME(CURLOPT_SUPPRESS_CONNECT_HEADERS);
    SAME(CURLOPT_UPLOAD_BUFFERSIZE); SAME(CURLOPT_CAINFO_BLOB);
    cr_assert_eq(BOX_CURLOPT_PROTOCOLS, 181);
}

Test(registry_curl, codes_and_structures_are_those_of_the_header)
{
    SAME(CURLE_OK); SAME(CURLE_COULDNT_RESOLVE_HOST); SAME(CURLE_COULDNT_CONNECT); SAME(CURLE_WRITE_ERROR);
    SAME(CURLE_OUT_OF_MEMORY); SAME(CURLE_OPERATION_TIMEDOUT); SAME(CURLE_SSL_CONNECT_ERROR); SAME(CURLE_SSL_CERTPROBLEM);
    SAME(CURLE_PEER_FAILED_VERIFICATION); SAME(CURLE_SSL_CACERT_BADFILE); SAME(CURLE_ABORTED_BY_CALLBACK);
    SAME(CURLE_UNSUPPORTED_PROTOCOL); SAME(CURLE_URL_MALFORMAT); SAME(CURLE_COULDNT_RESOLVE_PROXY);
    SAME(CURL_READFUNC_ABORT); SAME(CURL_WAIT_POLLIN); SAME(CURLINFO_RESPONSE_CODE); SAME(CURL_GLOBAL_DEFAULT);
    cr_assert_eq(BOX_CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_TLSv1_2);
    cr_assert_eq(BOX_CURL_MSG_DONE, CURLMSG_DONE);
    cr_assert_eq(sizeof(struct box_curl_message), sizeof(CURLMsg));
    cr_assert_eq(offsetof(struct box_curl_message, data), offsetof(CURLMsg, data));
    cr_assert_eq(sizeof(struct box_curl_waitfd), sizeof(struct curl_waitfd));
    cr_assert_eq(sizeof(struct box_curl_blob), sizeof(struct curl_blob));
    cr_assert_eq(offsetof(struct box_curl_blob, flags), offsetof(struct curl_blob, flags));
}
#endif

Test(registry_curl, a_missing_library_is_an_error_that_names_the_package)
{
    _cleanup_(box_error) box_error *err = NULL;

    if (!box_curl(&err)) {
        cr_assert_eq(box_error_code(err), BOX_ELIBRARY);
        cr_assert_not_null(strstr(box_error_remedy(err), "libcurl4"));
    }
}
