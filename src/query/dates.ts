// Calendar functions in UTC on Unix seconds, by arithmetic on days.

const daySeconds = 86_400

/** Civil date of a day number (0 = 1970-01-01), by counting in 400-year eras that begin on 1 March. */
const civil = (days: number): { year: number; month: number; day: number } => {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const m = Math.floor((5 * dayOfYear + 2) / 153)
  const month = m < 10 ? m + 3 : m - 9
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * m + 2) / 5) + 1,
  }
}

const isLeap = (year: number): boolean => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
const lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
const monthDays = (year: number, month: number): number =>
  month === 2 && isLeap(year) ? 29 : lengths[month - 1]!

const dayOf = (seconds: number): number => Math.floor(seconds / daySeconds)
const within = (seconds: number): number => seconds - dayOf(seconds) * daySeconds
const ofDate =
  (part: (date: { year: number; month: number; day: number }) => number) =>
  (seconds: number): number =>
    part(civil(dayOf(seconds)))

const parts: Readonly<Record<string, (seconds: number) => number>> = {
  minute: (s) => Math.floor((within(s) % 3600) / 60),
  hour: (s) => Math.floor(within(s) / 3600),
  day_of_week: (s) => (((dayOf(s) + 4) % 7) + 7) % 7,
  day_of_month: ofDate((d) => d.day),
  day_of_year: ofDate(({ year, month, day }) => {
    let n = day
    for (let m = 1; m < month; m++) n += monthDays(year, m)
    return n
  }),
  days_in_month: ofDate(({ year, month }) => monthDays(year, month)),
  month: ofDate((d) => d.month),
  year: ofDate((d) => d.year),
}

export const isDateFunction = (name: string): boolean => Object.hasOwn(parts, name)

/** A part of the date of a time in Unix seconds; fractions of a second are cut off; NaN for what is no time. */
export const datePart = (name: string): ((seconds: number) => number) => {
  const part = parts[name]!
  return (seconds) => (Number.isFinite(seconds) ? part(Math.trunc(seconds)) : Number.NaN)
}
