// Texts of a channel that come from templates: checked when they are read, and made without ever losing the page.
import { z } from 'zod'
import { AppError, messageOf } from '../lib/errors.ts'
import { instant } from '../lib/time.ts'
import type { Notification } from '../model/alert.ts'
import { type NotificationTemplates, type NotificationText, templateProblem } from './templates.ts'

/** Schema of a text that may hold templates. */
export const templateText = z.string().superRefine((value, ctx) => {
  const problem = templateProblem(value)
  // A template of the user's own files is not known yet: only syntax is checked here.
  if (problem && !/not defined|no template/.test(problem)) ctx.addIssue(problem)
})

const anExample: Notification = {
  receiver: 'example',
  groupKey: '{}:{}',
  status: 'firing',
  reason: 'first notification',
  groupLabels: {},
  commonLabels: {},
  commonAnnotations: {},
  routeLabels: {},
  externalURL: '',
  truncatedAlerts: 0,
  alerts: [],
  at: instant(0),
}

/** Throws where a text calls a template that is not there: the first page would find it out, and be lost. */
const tryOut = (render: NotificationText): void => {
  try {
    render(anExample)
  } catch (error) {
    // What an example cannot fill says nothing about real alerts.
    if (error instanceof AppError && / is not defined$/.test(error.message)) throw error
  }
}

/** Reads a template; a text that the alerts cannot fill is `otherwise`, so that it costs its words and not the page. Throws `bad_data`. */
export const lenientText = (
  templates: NotificationTemplates,
  value: string,
  name: string,
  otherwise: (n: Notification, why: string) => string = () => '',
  form: 'text' | 'html' = 'text',
): NotificationText => {
  const render = form === 'html' ? templates.compileHtml(value, name) : templates.compile(value, name)
  tryOut(render)
  return (n) => {
    try {
      return render(n)
    } catch (error) {
      return otherwise(n, messageOf(error))
    }
  }
}

/** At most `most` characters, never half of one. */
export const truncate = (value: string, most: number): string => {
  const characters = [...value]
  return characters.length <= most ? value : `${characters.slice(0, most - 1).join('')}…`
}
