// From an action to what is to be done in a cluster: pure, so that what an action means can be read in one place.
import type { Action } from '../model/decision.ts'
import { placeOf } from '../model/workload.ts'

export interface Place {
  readonly kind: string
  /** '' = where we are at home. */
  readonly namespace: string
  readonly name: string
}

export type Step =
  | { readonly do: 'scale'; readonly at: Place; readonly replicas: number }
  | {
      readonly do: 'image'
      readonly at: Place
      /** '' = the only one there is. */
      readonly container: string
      readonly image: string
      readonly version: string
    }
  | {
      readonly do: 'undo'
      readonly at: Place
      readonly container: string
      readonly from: string
      readonly to: string
    }
  | { readonly do: 'restart'; readonly at: Place; readonly model: string }

const text = (action: Action, key: string): string => {
  const value = action.params[key]
  return value === undefined ? '' : String(value)
}

/** The version that replaces another: by its image, or by going back to the revision before. */
const change = (action: Action, at: Place): readonly Step[] | string => {
  const container = text(action, 'container')
  const image = text(action, 'image')
  const [from, to] = [text(action, 'from'), text(action, 'to')]
  const canary = text(action, 'canary')
  const alone: Step = { do: 'scale', at: { ...at, kind: 'Deployment', name: canary }, replicas: 0 }
  // What runs beside the old version is taken away; the old one was never touched.
  if (action.kind === 'rollback' && canary !== '') return [alone]
  const set: Step = { do: 'image', at, container, image, version: to }
  if (image !== '') return canary === '' ? [set] : [set, alone]
  if (action.kind === 'rollback') {
    if (at.kind === 'Deployment') return [{ do: 'undo', at, container, from, to }]
    return `${at.kind} ${at.name} cannot go back by itself; give its workload an image with $version`
  }
  return canary === ''
    ? []
    : `${canary} cannot take the place of ${at.name}; give its workload an image with $version`
}

/** The steps in their order, none where everything is as it shall be; a text says why it cannot be done. */
export const stepsOf = (action: Action): readonly Step[] | string => {
  const where = text(action, 'workload')
  const at = placeOf(where)
  if (!at)
    return where === ''
      ? `the ${action.kind} of ${action.subject} names no workload; set workload: { namespace, name } beside actuator: kubernetes`
      : `${JSON.stringify(where)} is no workload; it is written as Deployment/namespace/name`
  if (action.kind === 'scale') {
    const replicas = Number(action.params['replicas'])
    if (Number.isSafeInteger(replicas) && replicas >= 0) return [{ do: 'scale', at, replicas }]
    return `${JSON.stringify(action.params['replicas'])} is no number of replicas`
  }
  if (action.kind === 'rollback' || action.kind === 'promote') return change(action, at)
  if (action.kind === 'model') return [{ do: 'restart', at, model: text(action, 'model') }]
  return `a ${action.kind} cannot be done by Kubernetes; send it to a webhook`
}
