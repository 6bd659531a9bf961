/* programs.h: other programs of the network trade, and what they see in captures. */
#ifndef WIRELM_PROGRAMS_H
#define WIRELM_PROGRAMS_H

#include <stddef.h>

/* What came of running a program. */
typedef enum program_end { PROGRAM_DONE, PROGRAM_ABSENT, PROGRAM_FAILED, PROGRAM_SLOW } program_end;

/* Runs argv[0], looked for as a shell would, with its output going to a file and its messages nowhere. What takes
 * longer than so many seconds is killed. */
program_end run_program(const char *const argv[], const char *output, double seconds);
const char *program_end_name(program_end end); /* done, absent, failed, slow */

/* What programs see in a capture of real flows, in one of generated ones and, not NULL, in one of training flows, beside
 * each other, as a JSON object. folder: for files on the way, which are removed again. NULL where memory is short. */
struct json_t;
struct json_t *what_programs_see(const char *real, const char *fake, const char *training, const char *folder);

/* One program's view of one capture: an object, or NULL where it did not end well (*end says how). scratch: a file to
 * write; names that begin so are free, too. */
typedef struct json_t *program_view(const char *capture, const char *scratch, program_end *end);
program_view see_with_tshark, see_with_ndpi, see_with_tcptrace, see_with_suricata;

enum { PROGRAM_LIMIT_S = 300 }; /* for one capture */

/* The next line of a text, cut off in place; NULL at its end. */
char *next_line(char **text);
/* The next field of a line, cut off at the sign in place; NULL at its end. */
char *next_field(char **line, char sign);
/* A whole file, ended by NUL; free() it. NULL where it cannot be read. */
char *read_text(const char *path);

#endif
