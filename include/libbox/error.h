/* Errors: what a failed call tells the person at the end of the chain.
 *
 * Every libbox function that can fail returns 0 or a negative BOX_E* code (or a pointer, NULL on failure) and takes
 * `box_error **err` last. `err` may be NULL. When it is not, *err must be NULL or uninitialised-to-NULL on entry; on
 * failure the function stores a new error there, which the caller frees with box_error_free(). On success *err is
 * left as it was. Running out of memory is an error like any other (BOX_ENOMEM); its object is static, and freeing
 * it is harmless.
 *
 * Thread rules: an error belongs to whoever received it; it is immutable once returned.
 */
#ifndef LIBBOX_ERROR_H
#define LIBBOX_ERROR_H

#if defined(__GNUC__)
#define BOX_API __attribute__((visibility("default")))
#define BOX_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define BOX_API
#define BOX_PRINTF(fmt, first)
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct box_error box_error;

/* The codes are stable: a number is never given another meaning, and new ones are added at the end. */
enum box_error_code {
    BOX_OK = 0,
    BOX_ENOMEM = -1,        /* out of memory */
    BOX_EINVAL = -2,        /* an argument of the call is wrong: the program's mistake */
    BOX_ESPEC = -3,         /* the spec asks for something impossible or contradictory; the subject names the field */
    BOX_EPARSE = -4,        /* a document (JSON, reference, option string, passwd file) is malformed */
    BOX_ENOTFOUND = -5,     /* no such object: image, container, user, file */
    BOX_EEXISTS = -6,       /* the name is taken */
    BOX_EBUSY = -7,         /* in use by something else; may succeed later */
    BOX_ESTATE = -8,        /* the object is not in a state that allows this (start twice, exec when stopped) */
    BOX_EPERMISSION = -9,   /* the kernel refused for want of privilege */
    BOX_EUNSUPPORTED = -10, /* this host, kernel or build lacks what is needed; the remedy says how to get it */
    BOX_ELIMIT = -11,       /* a limit of libbox's on hostile or absurd input was passed */
    BOX_ESYSTEM = -12,      /* a system call failed for another reason; see box_error_errno() */
    BOX_ETIMEOUT = -13,     /* the deadline passed */
    BOX_ECANCELLED = -14,   /* cancelled from another thread */
    BOX_EDIGEST = -15,      /* content does not have the digest or size that it is named by */
    BOX_ECORRUPT = -16,     /* libbox's own state on disk is damaged */
    BOX_ESTART = -17,       /* the new process failed in set-up; stage and call name the step */
    BOX_ENOEXEC = -18,      /* the program was found but cannot be run (Docker's exit code 126) */
    BOX_ENOPROGRAM = -19,   /* the program does not exist in the root (Docker's exit code 127) */
    BOX_EESCAPE = -20,      /* a path leads out of the root that it must stay in */
    BOX_ELIBRARY = -21,     /* an optional library is not installed; the remedy names the package */
    BOX_ENOSPACE = -22,     /* disk or quota is full */
    BOX_ECHILD = -23        /* somebody else in the host reaped the child, and its status is lost */
};

/* The code as a BOX_E* number; BOX_OK for NULL. */
BOX_API int box_error_code(const box_error *err);
/* The errno of the system call that failed, or 0. See errno(3). */
BOX_API int box_error_errno(const box_error *err);
/* The step of the operation, such as "start: mount" or "load: layer sha256:…"; "" when there is none. */
BOX_API const char *box_error_stage(const box_error *err);
/* The system call, library function or file that failed, such as "openat2"; "" when there is none. */
BOX_API const char *box_error_call(const box_error *err);
/* The path, name, field or number concerned; "" when there is none. */
BOX_API const char *box_error_subject(const box_error *err);
/* What to do about it; "" when nothing is known. */
BOX_API const char *box_error_remedy(const box_error *err);
/* One line for people that holds all of the above. Never NULL; owned by the error. */
BOX_API const char *box_error_message(const box_error *err);
/* The name of a code, such as "BOX_ENOTFOUND"; "BOX_E?" for a number that is none. Static. */
BOX_API const char *box_error_code_name(int code);
/* Frees an error; NULL is allowed. */
BOX_API void box_error_free(box_error *err);

/* The library's version, "major.minor.patch". Static. */
BOX_API const char *box_version(void);

#ifdef __cplusplus
}
#endif

#endif
