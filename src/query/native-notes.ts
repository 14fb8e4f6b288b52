// What Prometheus says of native histograms in queries, in its words: people search for them.

const quoted = (name: string): string => JSON.stringify(name)
const forMetric = (metric: string): string => (metric === '' ? '' : ` for metric name ${quoted(metric)}`)

export const mixedFloats = (metric: string): string =>
  `encountered a mix of histograms and floats for metric name ${quoted(metric)}`
export const mixedFloatsInAggregation = 'encountered a mix of histograms and floats for aggregation'
export const mixedClassic = (metric: string): string =>
  `vector contains a mix of classic and native histograms${forMetric(metric)}`
export const mixedSchemas = (metric: string): string =>
  `vector contains a mix of histograms with exponential and custom buckets schemas for metric name ${quoted(metric)}`
export const notCounter = (metric: string): string =>
  `this native histogram metric is not a counter: ${quoted(metric)}`
export const notGauge = (metric: string): string =>
  `this native histogram metric is not a gauge: ${quoted(metric)}`
export const ignoredInRange = (metric: string): string =>
  `ignored histograms in a range containing both floats and histograms for metric name ${quoted(metric)}`
export const ignoredInAggregation = (op: string): string => `ignored histogram in ${op} aggregation`
export const reconciled = (operation: 'addition' | 'subtraction' | 'aggregation'): string =>
  `mismatched custom buckets were reconciled during ${operation}`
export const resetCollision = (operation: 'addition' | 'subtraction' | 'aggregation'): string =>
  `conflicting counter resets during histogram ${operation}`
export const wrongTypes = (op: string, left: string, right: string): string =>
  `incompatible sample types encountered for binary operator ${quoted(op)}: ${left} ${op} ${right}`
export const wrongLayouts = (op: string): string =>
  `incompatible bucket layout encountered for binary operator ${op}`
export const quantileIsNaN = (metric: string): string =>
  `input to histogram_quantile has NaN observations, result is NaN${forMetric(metric)}`
export const quantileIsSkewed = (metric: string): string =>
  `input to histogram_quantile has NaN observations, result is skewed higher${forMetric(metric)}`
export const fractionWithoutNaN = (metric: string): string =>
  `input to histogram_fraction has NaN observations, which are excluded from all fractions${forMetric(metric)}`
