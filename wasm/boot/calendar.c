/*
** Dates, for `os.date`, in the place of the C library's, which ask the host: that tells the time of
** its machine's zone, and throws through the process for what no date of JavaScript can hold. One
** process shall tell the same on every machine: its zone is UTC.
*/
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <time.h>

enum {
  seconds_a_day = 86400,
  days_an_era = 146097, /* 400 years */
  years_an_era = 400,
  days_before_1970 = 719468, /* since 1 March of the year 0 */
  thursday = 4,              /* 1 January 1970 */
  february = 1               /* months count from 0, as in a struct tm */
};

static int64_t divide_down(int64_t number, int64_t by) { return number / by - (number % by < 0); }

static int rest(int64_t number, int by) {
  int left = (int)(number % by);
  return left < 0 ? left + by : left;
}

/* Years begin in March here, so that a leap day is the last of its year; eras of 400 of them are
** alike. The sums are H. Hinnant's days_from_civil and civil_from_days ("chrono-Compatible
** Low-Level Date Algorithms", 2013). */
static int64_t days_since_1970(int64_t year, int month, int64_t day) {
  year -= month <= february;
  int64_t era = divide_down(year, years_an_era), year_of_era = year - era * years_an_era;
  int months_since_march = (month + 10) % 12;
  int64_t day_of_year = (153 * months_since_march + 2) / 5 + day - 1;
  int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * days_an_era + day_of_era - days_before_1970;
}

static struct tm *tell(int64_t time, const char *zone, struct tm *told) {
  int64_t days = divide_down(time, seconds_a_day);
  int second = rest(time, seconds_a_day);
  int64_t era = divide_down(days + days_before_1970, days_an_era);
  int day_of_era = rest(days + days_before_1970, days_an_era);
  int year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int months_since_march = (5 * day_of_year + 2) / 153;
  int month = (months_since_march + 2) % 12;
  int64_t year = era * years_an_era + year_of_era + (month <= february);
  if (year - 1900 < INT_MIN || year - 1900 > INT_MAX) {
    errno = EOVERFLOW;
    return NULL;
  }
  *told = (struct tm){
      .tm_year = (int)(year - 1900),
      .tm_mon = month,
      .tm_mday = day_of_year - (153 * months_since_march + 2) / 5 + 1,
      .tm_hour = second / 3600,
      .tm_min = second / 60 % 60,
      .tm_sec = second % 60,
      .tm_wday = rest(days + thursday, 7),
      .tm_yday = (int)(days - days_since_1970(year, 0, 1)),
      .tm_zone = zone,
  };
  return told;
}

/* What `strftime` asks for the name of a zone; the C library's looks at the machine's first. */
const char *__tm_to_tzname(const struct tm *date);
const char *__tm_to_tzname(const struct tm *date) { return date->tm_zone; }

static struct tm last_told;

struct tm *gmtime(const time_t *time) { return tell(*time, "GMT", &last_told); }

struct tm *localtime(const time_t *time) { return tell(*time, "UTC", &last_told); }

time_t mktime(struct tm *date) {
  int64_t year = (int64_t)date->tm_year + 1900 + divide_down(date->tm_mon, 12);
  int64_t days = days_since_1970(year, rest(date->tm_mon, 12), date->tm_mday);
  int64_t minutes = (days * 24 + date->tm_hour) * 60 + date->tm_min;
  int64_t time = minutes * 60 + date->tm_sec;
  return tell(time, "UTC", date) != NULL ? (time_t)time : -1;
}
