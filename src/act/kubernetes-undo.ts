// Which revision of a Deployment to go back to, and the patch that does it: as `kubectl rollout undo`, minding versions where they are known.
import type { KubernetesObject } from '../lib/kubernetes.ts'

const revisionKey = 'deployment.kubernetes.io/revision'
const hashLabel = 'pod-template-hash'
const versionLabel = 'app.kubernetes.io/version'
const ownVersion = 'airboss.dev/version'

export const revisionOf = (object: KubernetesObject): number =>
  Number(object?.metadata?.annotations?.[revisionKey] ?? 0)

/** What version a pod template says it is: by annotation, label, or its image's tag; '' where nothing tells. */
export const versionOf = (template: KubernetesObject, container: string): string => {
  const { labels, annotations } = template?.metadata ?? {}
  const said = annotations?.[ownVersion] ?? labels?.[ownVersion] ?? labels?.[versionLabel]
  if (typeof said === 'string' && said !== '') return said
  const containers: KubernetesObject[] = template?.spec?.containers ?? []
  const of =
    container === ''
      ? containers.length === 1
        ? containers[0]
        : undefined
      : containers.find((c) => c.name === container)
  return /:([\w][\w.-]*)(@sha256:[0-9a-f]+)?$/.exec(of?.image ?? '')?.[1] ?? ''
}

const withoutHash = (template: KubernetesObject): KubernetesObject => {
  const { [hashLabel]: _, ...labels } = template?.metadata?.labels ?? {}
  return { ...template, metadata: { ...template?.metadata, labels } }
}

const sorted = (value: KubernetesObject): unknown =>
  Array.isArray(value)
    ? value.map(sorted)
    : value && typeof value === 'object'
      ? Object.fromEntries(
          Object.keys(value)
            .sort()
            .map((k) => [k, sorted(value[k])]),
        )
      : value
const same = (a: KubernetesObject, b: KubernetesObject): boolean =>
  JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))

export type Undo =
  | {
      readonly to: KubernetesObject
      readonly template: KubernetesObject
      readonly revision: number
      readonly version: string
    }
  /** It is as it shall be. */
  | { readonly already: string }
  | { readonly refused: string }

export interface UndoInput {
  readonly deployment: KubernetesObject
  /** Its ReplicaSets; those of others are left out here. */
  readonly replicaSets: readonly KubernetesObject[]
  readonly container: string
  /** The version that shall go, and the one that shall run again. */
  readonly from: string
  readonly to: string
}

/**
 * The newest older revision that says it is `to`; where none says its version, the one before the present. Refused when something else than
 * `from` runs by now: somebody was here in between, and going back would undo their work.
 */
export const undoOf = ({ deployment, replicaSets, container, from, to }: UndoInput): Undo => {
  const { name, uid } = deployment.metadata
  if (deployment.spec?.paused === true)
    return {
      refused: `${name} is paused; resume it (kubectl rollout resume deployment/${name}), then roll back`,
    }
  const now = versionOf(deployment.spec?.template, container)
  if (now !== '' && now === to) return { already: `${name} runs ${to} already` }
  if (now !== '' && from !== '' && now !== from)
    return { refused: `${name} runs ${now} by now, not ${from}: somebody changed it, and nothing was undone` }
  const owned = replicaSets
    .filter((rs) =>
      (rs.metadata?.ownerReferences ?? []).some((o: KubernetesObject) => o.controller && o.uid === uid),
    )
    .filter(
      (rs) =>
        revisionOf(rs) > 0 && !same(withoutHash(rs.spec?.template), withoutHash(deployment.spec?.template)),
    )
    .sort((a, b) => revisionOf(b) - revisionOf(a))
  const known = owned.filter((rs) => versionOf(rs.spec?.template, container) !== '')
  const found = owned.find((rs) => to !== '' && versionOf(rs.spec?.template, container) === to)
  const chosen = found ?? (known.length === 0 || to === '' ? owned[0] : undefined)
  if (chosen) {
    const template = withoutHash(chosen.spec.template)
    return { to: chosen, template, revision: revisionOf(chosen), version: versionOf(template, container) }
  }
  const kept = known
    .map((rs) => `${versionOf(rs.spec?.template, container)} (revision ${revisionOf(rs)})`)
    .join(', ')
  return {
    refused: `${name} keeps no revision of ${to || 'before'}${kept === '' ? '' : `, only ${kept}`}; raise spec.revisionHistoryLimit, or give the workload an image`,
  }
}
