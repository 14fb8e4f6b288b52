// Labels and annotations of alerts: Go templates with Prometheus's functions and variables.
import { messageOf } from '../lib/errors.ts'
import { createTemplate, type Template } from '../lib/template/template.ts'
import type { Instant } from '../lib/time.ts'
import { type Labels, recordOf } from '../model/labels.ts'
import { prometheusFunctions, type TemplateContext, type TemplateSample } from './template-functions.ts'

const options = {
  include: 'tmpl',
  variables: ['$labels', '$value', '$externalLabels', '$externalURL'],
  // As Prometheus has it: a label that an alert lacks is the empty text.
  missingKey: 'zero',
} as const

/** Functions bound when rendering starts: a template is compiled once and rendered with another context each time. */
interface Slot {
  context: TemplateContext
}
interface Compiled {
  readonly template: Template
  readonly slot: Slot
}

const unbound: TemplateContext = {
  now: 0 as Instant,
  externalURL: '',
  query: () => Promise.reject(new Error('a template is only rendered by a rule')),
}

/** Throws `bad_data` with line and column of the mistake. */
export const compileAlertTemplate = (text: string, name: string): Compiled => {
  const slot: Slot = { context: unbound }
  const context: TemplateContext = {
    get now() {
      return slot.context.now
    },
    get externalURL() {
      return slot.context.externalURL
    },
    query: (expr) => slot.context.query(expr),
  }
  return { slot, template: createTemplate(text, name, prometheusFunctions(context), options) }
}

export interface AlertTexts {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

interface TemplateData {
  /** Labels of the result, with its name. */
  readonly labels: Labels
  /** A text for what is no number. */
  readonly value: number | string
}

export interface AlertTemplates {
  /** A text that fails to render says so in its place, as in Prometheus; `failed` is told too. */
  render(data: TemplateData, context: TemplateContext): Promise<AlertTexts>
}

export interface AlertTemplateDeps {
  readonly externalLabels: Readonly<Record<string, string>>
  failed(name: string, error: unknown): void
}

/** Compiles a rule's templates once; texts without `{{` cost nothing. */
export const createAlertTemplates = (texts: AlertTexts, deps: AlertTemplateDeps): AlertTemplates => {
  const externalLabels = new Map(Object.entries(deps.externalLabels))
  const compile = (all: Readonly<Record<string, string>>): [string, string | Compiled][] =>
    Object.entries(all).map(([name, text]) => [
      name,
      text.includes('{{') ? compileAlertTemplate(text, name) : text,
    ])
  const labels = compile(texts.labels)
  const annotations = compile(texts.annotations)
  const expand = async (
    parts: [string, string | Compiled][],
    data: TemplateData,
    context: TemplateContext,
  ) => {
    const out: Record<string, string> = {}
    for (const [name, part] of parts) {
      if (typeof part === 'string') {
        out[name] = part
        continue
      }
      part.slot.context = context
      const $labels = new Map(Object.entries(recordOf(data.labels)))
      const dot = {
        Labels: $labels,
        ExternalLabels: externalLabels,
        ExternalURL: context.externalURL,
        Value: data.value,
      }
      const variables = {
        $labels,
        $value: data.value,
        $externalLabels: externalLabels,
        $externalURL: context.externalURL,
      }
      try {
        out[name] = await part.template.renderAsync(dot, variables)
      } catch (error) {
        deps.failed(name, error)
        out[name] = `<error expanding template: ${messageOf(error)}>`
      }
    }
    return out
  }
  return {
    render: async (data, context) => ({
      labels: await expand(labels, data, context),
      annotations: await expand(annotations, data, context),
    }),
  }
}

export const templateSample = (labels: Labels, value: number | string): TemplateSample => ({
  Labels: new Map(Object.entries(recordOf(labels))),
  Value: value,
})
