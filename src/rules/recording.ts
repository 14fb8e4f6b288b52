// What a rule makes of its query's result, pure: recorded series, and the labels of alerts.
import { AppError } from '../lib/errors.ts'
import { type Labels, labelsKey, noLabels, printLabels, withLabels, withoutName } from '../model/labels.ts'
import type { NativeHistogram } from '../model/native-histogram.ts'
import { printHistogram } from '../model/native-text.ts'
import type { Value } from '../model/result.ts'

export interface Samples {
  readonly labels: readonly Labels[]
  readonly values: ArrayLike<number>
  /** Where there are any: the native histogram that is the value of an element. */
  readonly histograms?: readonly (NativeHistogram | undefined)[] | undefined
}

/** An instant query's result as a vector; a scalar is one element without labels. Throws `execution` on anything else. */
export const asVector = (value: Value): Samples => {
  if (value.kind === 'vector') return value
  if (value.kind === 'scalar') return { labels: [noLabels], values: [value.value] }
  throw new AppError('execution', `the rule's result is a ${value.kind}; it must be a vector or a scalar`)
}

/** An element's value as templates show it: a histogram as text. */
export const shownValue = ({ values, histograms }: Samples, i: number): number | string => {
  const h = histograms?.[i]
  return h ? printHistogram(h) : values[i]!
}

export interface Recorded {
  readonly labels: Labels
  readonly value: number | NativeHistogram
}

/** The recorded series: the rule's name and labels put over the result's. Throws `execution` when two elements meet in one label set. */
export const recorded = (
  samples: Samples,
  record: string,
  ruleLabels: Readonly<Record<string, string>>,
): Recorded[] => {
  const set = { ...ruleLabels, __name__: record }
  const seen = new Set<string>()
  return samples.labels.map((labels, i) => {
    const made = withLabels(labels, set)
    const key = labelsKey(made)
    if (seen.has(key))
      throw new AppError(
        'execution',
        `the result has two elements that become ${printLabels(made)}; aggregate, or keep the label that tells them apart`,
      )
    seen.add(key)
    return { labels: made, value: samples.histograms?.[i] ?? samples.values[i]! }
  })
}

/** An alert's identity: the result's labels without its name, the rule's labels over them, and the alert's name. */
export const alertLabels = (
  result: Labels,
  ruleLabels: Readonly<Record<string, string>>,
  alert: string,
): Labels => withLabels(withoutName(result), { ...ruleLabels, alertname: alert })
