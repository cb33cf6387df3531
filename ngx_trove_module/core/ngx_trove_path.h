
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_PATH_H_INCLUDED_
#define _NGX_TROVE_PATH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Files that root opens in directories where others may write.  A link that
 * somebody else has put there would lead to any file of the system.
 *
 * The directory is opened once, and what is in it is then named by its
 * descriptor.  Symbolic links on the way to it are followed if they belong to
 * root or to the user of the process.  A file itself must be a regular one, and
 * have no other name.
 */

/* what a file is, in the words of a message, or NULL if it is as it must be */
#define NGX_TROVE_PATH_LINK     "is a symbolic link, specify the file itself"
#define NGX_TROVE_PATH_HARD     "has another hard link, remove it"
#define NGX_TROVE_PATH_IRREGULAR  "is not a regular file, remove it"
#define NGX_TROVE_PATH_OTHERS                                                 \
    "is behind a symbolic link of another user, chown the link to root"


/*
 * Opens the directory of a file.  *name is the name in it, a part of path.  The
 * caller closes the descriptor, which is of no use but for openat() and the
 * like.
 *
 * -1  *reason is NULL: ngx_errno says why; or it is one of the above
 */
int ngx_trove_path_dir(const char *path, const char **name,
    const char **reason);

/*
 * The error of a file, of which so many names are known to be good.
 *
 * NULL  nothing
 */
const char *ngx_trove_path_error(struct stat *st, nlink_t names);

/*
 * Opens a file that is there, as openat() does, and waits for nobody.  The
 * caller closes the descriptor.
 *
 * -1  as above
 */
int ngx_trove_path_open(int dir, const char *name, int flags, nlink_t names,
    struct stat *st, const char **reason);

/*
 * How many other names a file has, in the directory dir, that begin with its
 * own name and suffix.
 */
nlink_t ngx_trove_path_names(int dir, const char *name, const char *suffix);


#endif /* _NGX_TROVE_PATH_H_INCLUDED_ */
