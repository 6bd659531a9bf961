/* time.c: points in time as text. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"

enum { SECOND_NS = 1000000000 };

void time_text(int64_t time_ns, int digits, char text[64])
{
    int64_t seconds = time_ns / SECOND_NS, rest = time_ns % SECOND_NS;
    time_t whole;
    struct tm parts;
    size_t n;
    if (rest < 0) {
        rest += SECOND_NS;
        seconds--;
    }
    whole = (time_t)seconds;
    gmtime_r(&whole, &parts);
    n = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &parts);
    if (digits > 0)
        n += (size_t)snprintf(text + n, 16, ".%09lld", (long long)rest) - (size_t)(9 - digits);
    text[n] = 'Z';
    text[n + 1] = 0;
}

/* ".25" as nanoseconds; moves *at past it. */
static int64_t parse_fraction(const char **at)
{
    int64_t value = 0, unit = SECOND_NS / 10;
    if (**at != '.')
        return 0;
    for (++*at; **at >= '0' && **at <= '9'; ++*at, unit /= 10)
        value += (**at - '0') * unit;
    return value;
}

/* "Z", "+01:00", "-0530" as seconds east of Greenwich. */
static int parse_zone(const char *text, int64_t *east_s)
{
    int hours, minutes, used = 0;
    *east_s = 0;
    if (!strcmp(text, "Z") || !strcmp(text, "z"))
        return 1;
    if ((*text != '+' && *text != '-') || sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 ||
        text[1 + used] || hours > 23 || minutes > 59)
        return 0;
    *east_s = (*text == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return 1;
}

static int in_range(int64_t seconds)
{
    return seconds >= 0 && seconds < INT64_MAX / SECOND_NS;
}

int parse_time(const char *text, int64_t *time_ns)
{
    struct tm parts;
    int64_t seconds, fraction, east_s;
    const char *at;
    char *end;
    memset(&parts, 0, sizeof parts);
    at = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    if (at) {
        seconds = timegm(&parts);
        fraction = parse_fraction(&at);
        if (!parse_zone(at, &east_s))
            return 0;
        seconds -= east_s;
    } else {
        if (*text < '0' || *text > '9')
            return 0;
        seconds = strtoll(text, &end, 10);
        at = end;
        fraction = parse_fraction(&at);
        if (*at)
            return 0;
    }
    if (!in_range(seconds))
        return 0;
    *time_ns = seconds * SECOND_NS + fraction;
    return 1;
}
