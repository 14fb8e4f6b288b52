// What every PromQL function takes and gives, and which known ones are refused and why.
import type { ValueType } from './ast.ts'

export interface Signature {
  readonly args: readonly ValueType[]
  /** How many of the last arguments may be left out; -1 = the last may come any number of times (none too). */
  readonly optional: number
  readonly returns: ValueType
}

const table: Record<string, Signature> = {}
const add = (
  names: string,
  args: readonly ValueType[],
  returns: ValueType = 'vector',
  optional = 0,
): void => {
  for (const name of names.split(' ')) table[name] = { args, returns, optional }
}
add('abs ceil exp floor ln log10 log2 sgn sqrt', ['vector'])
add('acos acosh asin asinh atan atanh cos cosh sin sinh tan tanh deg rad', ['vector'])
add('absent scalar sort sort_desc timestamp', ['vector'])
add('scalar', ['vector'], 'scalar')
add('time pi', [], 'scalar')
add('vector', ['scalar'])
add('days_in_month day_of_month day_of_week day_of_year hour minute month year', ['vector'], 'vector', 1)
add('round', ['vector', 'scalar'], 'vector', 1)
add('clamp', ['vector', 'scalar', 'scalar'])
add('clamp_max clamp_min', ['vector', 'scalar'])
add('rate increase delta irate idelta changes resets deriv', ['matrix'])
add(
  'sum_over_time avg_over_time min_over_time max_over_time count_over_time last_over_time first_over_time',
  ['matrix'],
)
add('present_over_time absent_over_time stddev_over_time stdvar_over_time mad_over_time', ['matrix'])
add('ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time ts_of_min_over_time', ['matrix'])
add('quantile_over_time', ['scalar', 'matrix'])
add('predict_linear', ['matrix', 'scalar'])
add('double_exponential_smoothing', ['matrix', 'scalar', 'scalar'])
add('histogram_quantile', ['scalar', 'vector'])
add('histogram_fraction', ['scalar', 'scalar', 'vector'])
add('histogram_avg histogram_count histogram_sum histogram_stddev histogram_stdvar', ['vector'])
add('histogram_quantiles', ['vector', 'string', 'scalar', 'scalar'], 'vector', -1)
add('label_replace', ['vector', 'string', 'string', 'string', 'string'])
add('label_join', ['vector', 'string', 'string', 'string'], 'vector', -1)
add('sort_by_label sort_by_label_desc', ['vector', 'string'], 'vector', -1)

export const signatures: ReadonlyMap<string, Signature> = new Map(Object.entries(table))

/** Functions that the grammar or earlier versions know and we do not evaluate: name → why. */
export const refused: ReadonlyMap<string, string> = new Map([
  ['info', 'is not supported; join the info metric with "* on (...) group_left (...)"'],
  ['start_timestamp', 'is not supported: start timestamps are not stored'],
  ['holt_winters', 'was renamed; use double_exponential_smoothing'],
  ['step', 'is not supported'],
  ['range', 'is not supported'],
  ['start', 'is not supported as a function; use it after "@"'],
  ['end', 'is not supported as a function; use it after "@"'],
  ['min_of', 'is not supported'],
  ['max_of', 'is not supported'],
])
