/* strings.h: a table of distinct strings, numbered in order of arrival. */
#ifndef WLMI_STRINGS_H
#define WLMI_STRINGS_H

#include <stddef.h>
#include <stdint.h>

#define WLMI_NO_STRING UINT32_MAX

typedef struct wlmi_strings { /* zero-initialise */
    char **text;
    size_t count, capacity;
    uint32_t *slot; /* hash table over text: index + 1, 0 free */
    size_t slots;
} wlmi_strings;

/* The number of a string, added where it is new; WLMI_NO_STRING where memory is out. */
uint32_t wlmi_strings_add(wlmi_strings *strings, const char *text);
/* WLMI_NO_STRING where it is not there. */
uint32_t wlmi_strings_find(const wlmi_strings *strings, const char *text);
void wlmi_strings_free(wlmi_strings *strings);

/* A 64-bit hash: the same on every machine. */
uint64_t wlmi_hash(const void *data, size_t size);

#endif
