// The patches of a Kubernetes API server: JSON patch, JSON merge patch, strategic merge patch.
import { type Json, StatusError } from './fake-kubernetes-status.ts'

const isObject = (value: Json): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const copy = (value: Json): Json => structuredClone(value)

/** RFC 7386. */
export const mergePatch = (target: Json, patch: Json): Json => {
  if (!isObject(patch)) return copy(patch)
  const out = isObject(target) ? copy(target) : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete out[key]
    else out[key] = mergePatch(out[key], value)
  }
  return out
}

/** The key by which items of a list are one and the same; lists not named here are replaced whole. */
const mergeKeys: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  ephemeralContainers: 'name',
  env: 'name',
  volumes: 'name',
  volumeMounts: 'mountPath',
  volumeDevices: 'devicePath',
  imagePullSecrets: 'name',
  hostAliases: 'ip',
  conditions: 'type',
  ownerReferences: 'uid',
  addresses: 'type',
  topologySpreadConstraints: 'topologyKey',
}
/** Lists called `ports` are merged by containerPort in a container and by port in a service. */
const keyOf = (field: string, items: readonly Json[]): string | undefined =>
  field === 'ports'
    ? items.some((i) => i?.containerPort !== undefined)
      ? 'containerPort'
      : 'port'
    : mergeKeys[field]

const isFinalizers = (field: string): boolean => field === 'finalizers'

const strategicList = (field: string, target: Json, patch: readonly Json[]): Json => {
  if (isFinalizers(field)) return [...new Set([...(target ?? []), ...patch])]
  const key = keyOf(field, patch)
  if (key === undefined || patch.some((item) => item?.$patch === 'replace'))
    return copy(patch.filter((item) => item?.$patch !== 'replace'))
  const out: Json[] = copy(target ?? [])
  for (const item of patch) {
    if (item?.[key] === undefined)
      throw new StatusError(
        400,
        'BadRequest',
        `map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`,
      )
    const at = out.findIndex((o) => o[key] === item[key])
    if (item.$patch === 'delete') {
      if (at >= 0) out.splice(at, 1)
    } else if (at >= 0) out[at] = strategicMergePatch(out[at], item)
    else out.push(strategicMergePatch({}, item))
  }
  return out
}

/** Strategic merge as kubectl's default patch: lists with a merge key are merged item by item; `$patch: replace | delete` are known. */
export const strategicMergePatch = (target: Json, patch: Json): Json => {
  if (!isObject(patch)) return copy(patch)
  if (patch.$patch === 'replace') {
    const { $patch: _, ...rest } = patch
    return copy(rest)
  }
  const out = isObject(target) ? copy(target) : {}
  for (const [key, value] of Object.entries<Json>(patch)) {
    if (key.startsWith('$setElementOrder/') || key === '$patch') continue
    if (key === '$retainKeys') {
      for (const known of Object.keys(out)) if (!value.includes(known)) delete out[known]
    } else if (key.startsWith('$deleteFromPrimitiveList/')) {
      const field = key.slice('$deleteFromPrimitiveList/'.length)
      out[field] = (out[field] ?? []).filter((v: Json) => !value.includes(v))
    } else if (value === null || value.$patch === 'delete') delete out[key]
    else if (Array.isArray(value)) out[key] = strategicList(key, out[key], value)
    else out[key] = strategicMergePatch(out[key], value)
  }
  return out
}

const pointer = (path: string): string[] => {
  if (path !== '' && !path.startsWith('/'))
    throw new StatusError(400, 'BadRequest', `JSON pointer ${path} must begin with /`)
  return path
    .split('/')
    .slice(1)
    .map((p) => p.replaceAll('~1', '/').replaceAll('~0', '~'))
}

const refused = (op: string, path: string, why: string): StatusError =>
  new StatusError(
    422,
    'Invalid',
    `the server rejected our request due to an error in our request: ${op} operation does not apply: doc is missing path: ${path}: ${why}`,
  )

/** RFC 6902. A failed `test` or a missing path is 422, as the real server answers. */
export const jsonPatch = (target: Json, operations: Json): Json => {
  if (!Array.isArray(operations))
    throw new StatusError(
      400,
      'BadRequest',
      'json: cannot unmarshal object into Go value of type jsonpatch.Patch',
    )
  const root = { doc: copy(target) }
  const at = (path: string, op: string): [Json, string] => {
    const keys = ['doc', ...pointer(path)]
    let node: Json = root
    for (const key of keys.slice(0, -1)) {
      node = node?.[key]
      if (node === undefined || node === null) throw refused(op, path, 'missing value')
    }
    return [node, keys.at(-1)!]
  }
  const get = (path: string, op: string): Json => {
    const [parent, key] = at(path, op)
    if (parent[key] === undefined) throw refused(op, path, 'missing value')
    return parent[key]
  }
  const add = (path: string, value: Json): void => {
    const [parent, key] = at(path, 'add')
    if (!Array.isArray(parent)) parent[key] = copy(value)
    else parent.splice(key === '-' ? parent.length : Number(key), 0, copy(value))
  }
  const remove = (path: string): void => {
    const [parent, key] = at(path, 'remove')
    if (parent[key] === undefined) throw refused('remove', path, 'missing value')
    if (Array.isArray(parent)) parent.splice(Number(key), 1)
    else delete parent[key]
  }
  for (const { op, path, from, value } of operations) {
    if (op === 'add') add(path, value)
    else if (op === 'remove') remove(path)
    else if (op === 'replace') {
      get(path, op)
      const [parent, key] = at(path, op)
      parent[key] = copy(value)
    } else if (op === 'test') {
      if (!same(at(path, op)[0][at(path, op)[1]], value))
        throw new StatusError(
          422,
          'Invalid',
          `the server rejected our request due to an error in our request: testing value ${path} failed`,
        )
    } else if (op === 'move' || op === 'copy') {
      const moved = get(from, op)
      if (op === 'move') remove(from)
      add(path, moved)
    } else throw new StatusError(400, 'BadRequest', `Unexpected kind: ${op}`)
  }
  return root.doc
}

const sorted = (value: Json): Json =>
  isObject(value)
    ? Object.fromEntries(
        Object.keys(value)
          .sort()
          .map((k) => [k, sorted(value[k])]),
      )
    : Array.isArray(value)
      ? value.map(sorted)
      : value

/** Whether two values are one, whatever the order of their keys. */
export const same = (a: Json, b: Json): boolean => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))

/** Applies a patch by the content type it was sent with. */
export const patched = (target: Json, body: Json, contentType: string): Json => {
  const type = contentType.split(';')[0]!.trim()
  if (type === 'application/json-patch+json') return jsonPatch(target, body)
  if (type === 'application/merge-patch+json') return mergePatch(target, body)
  if (type === 'application/strategic-merge-patch+json') return strategicMergePatch(target, body)
  throw new StatusError(
    415,
    'UnsupportedMediaType',
    'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json',
  )
}
