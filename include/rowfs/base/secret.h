/* Passwords inside connection strings. They are written over with '*', in place and byte for byte,
 * so that argv, which every user may read in /proc, can be cleaned where it lies. */
#pragma once

/* Hide the passwords in one address:
 *
 *   postgres://user:secret@host/db?password=secret     URI, any scheme
 *   host=h password = 'secret' sslpassword=secret      keywords and values
 *
 * What is malformed is hidden too widely rather than too little. */
void secret_hide(char *address);

/* The same for a list of mount options: "redis=redis://:secret@host,ro". */
void secret_hide_list(char *list);

/* The same for a whole command line, argv[0] left alone. */
void secret_hide_arguments(int argc, char **argv);
