// A scraped series' labels joined with its target's, and the limits a job sets on them.
import { AppError } from '../../lib/errors.ts'
import { type Labels, labelsOf } from '../../model/labels.ts'
import { relabel } from './relabel.ts'
import type { Target } from './target.ts'

const reportNames = [
  'up',
  'scrape_duration_seconds',
  'scrape_samples_scraped',
  'scrape_samples_post_metric_relabeling',
  'scrape_series_added',
]
const extraNames = ['scrape_timeout_seconds', 'scrape_sample_limit', 'scrape_body_size_bytes']

/**
 * The labels of the series that tell about a target's scrapes: up, duration, scraped, kept, added; with `extra_scrape_metrics` also timeout,
 * sample limit and body size.
 */
export const targetLabels = (target: Target): Labels[] =>
  [...reportNames, ...(target.job.extra_scrape_metrics ? extraNames : [])].map((name) =>
    labelsOf({ ...target.labels, __name__: name }),
  )

const oldMetric = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const oldLabel = /^[a-zA-Z_][a-zA-Z0-9_]*$/

/** Names as they were before UTF-8 was allowed in them. */
const checkNames = (labels: ReadonlyMap<string, string>): void => {
  const name = labels.get('__name__')!
  const wrong = oldMetric.test(name) ? [...labels.keys()].find((label) => !oldLabel.test(label)) : name
  if (wrong !== undefined)
    throw new AppError(
      'bad_data',
      `${JSON.stringify(wrong)} is no name under metric_name_validation_scheme legacy; set it to utf8, or rename with metric_relabel_configs`,
    )
}

const checkLimits = (labels: ReadonlyMap<string, string>, { job }: Target): void => {
  const name = labels.get('__name__')
  const passed = (what: string, key: string): never => {
    throw new AppError(
      'limit_exceeded',
      `${name}: ${what}; raise ${key} or drop labels with metric_relabel_configs`,
    )
  }
  if (job.label_limit > 0 && labels.size > job.label_limit)
    passed(`${labels.size} labels, at most ${job.label_limit} are allowed`, 'label_limit')
  for (const [label, value] of labels) {
    if (job.label_name_length_limit > 0 && label.length > job.label_name_length_limit)
      passed(
        `the name of label ${label} is over ${job.label_name_length_limit} characters`,
        'label_name_length_limit',
      )
    if (job.label_value_length_limit > 0 && value.length > job.label_value_length_limit)
      passed(
        `the value of label ${label} is over ${job.label_value_length_limit} characters`,
        'label_value_length_limit',
      )
  }
}

/**
 * Final labels of a scraped series, null when `metric_relabel_configs` drop it. Where a scraped label has the name of a target's label, the
 * scraped one becomes `exported_<name>`, or wins with `honor_labels`. Throws `limit_exceeded` past the job's label limits.
 */
export const finisher = (target: Target, scraped: Map<string, string>): Labels | null => {
  const labels = new Map<string, string>()
  for (const [name, value] of scraped) if (value !== '') labels.set(name, value)
  const moved: [string, string][] = []
  for (const [name, value] of Object.entries(target.labels)) {
    // An empty scraped label counts as set with honor_labels: it keeps the target's label off.
    if (target.job.honor_labels && scraped.has(name)) continue
    const own = labels.get(name)
    if (own !== undefined) moved.push([name, own])
    labels.set(name, value)
  }
  for (const [name, value] of moved) {
    let exported = `exported_${name}`
    while (labels.has(exported)) exported = `exported_${exported}`
    labels.set(exported, value)
  }
  if (!relabel(labels, target.job.metric_relabel_configs)) return null
  if (!labels.get('__name__'))
    throw new AppError('bad_data', 'metric_relabel_configs left a series without a name')
  if (target.job.metric_name_validation_scheme === 'legacy') checkNames(labels)
  checkLimits(labels, target)
  return labelsOf(Object.fromEntries(labels))
}
