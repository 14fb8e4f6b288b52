// What a fake Kubernetes API server keeps: objects by resource, the history of their changes by resourceVersion, and its rules for writing.
import { randomUUID } from 'node:crypto'
import { patched, same } from './fake-kubernetes-patch.ts'
import {
  apiVersionOf,
  checkMeaning,
  checkScale,
  checkSchema,
  type Resource,
  resourceOf,
  resources,
} from './fake-kubernetes-resources.ts'
import { expired, type Json, StatusError } from './fake-kubernetes-status.ts'

export interface Change {
  readonly resourceVersion: number
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly resource: Resource
  readonly object: Json
  /** The object before the change. */
  readonly before: Json | null
}

export interface WriteOptions {
  readonly dryRun?: boolean
  readonly fieldManager?: string
  /** '' for the object itself. */
  readonly subresource?: string
}

export interface Name {
  readonly resource: Resource
  readonly namespace: string
  readonly name: string
}

const keyOf = ({ resource, namespace, name }: Name): string =>
  `${resource.group}/${resource.plural}/${namespace}/${name}`
const qualified = ({ plural, group }: Resource): string => (group === '' ? plural : `${plural}.${group}`)
const detailsOf = ({ resource, name }: Name): Json => ({ name, group: resource.group, kind: resource.plural })

export class FakeStore {
  readonly changes: Change[] = []
  readonly #objects = new Map<string, Json>()
  readonly #listeners = new Set<(change: Change) => void>()
  readonly #now: () => number
  #version = 1000
  #compacted = 0

  constructor(now: () => number) {
    this.#now = now
  }

  get version(): number {
    return this.#version
  }

  /** Forgets the history up to now: older resourceVersions are 410 Gone from here on. */
  compact(): void {
    // Another write, as etcd itself makes many: the newest version a client has seen is old too.
    this.#version++
    this.#compacted = this.#version
  }

  onChange(run: (change: Change) => void): () => void {
    this.#listeners.add(run)
    return () => this.#listeners.delete(run)
  }

  find(at: Name): Json | undefined {
    return structuredClone(this.#objects.get(keyOf(at)))
  }

  get(at: Name): Json {
    const found = this.find(at)
    if (!found)
      throw new StatusError(
        404,
        'NotFound',
        `${qualified(at.resource)} ${JSON.stringify(at.name)} not found`,
        detailsOf(at),
      )
    return found
  }

  /** The objects of a resource by namespace and name, as they were at a version; 410 when that is forgotten. */
  list(resource: Resource, version = this.#version): Json[] {
    if (version < this.#compacted)
      throw expired(
        `The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.`,
      )
    const prefix = `${resource.group}/${resource.plural}/`
    const all = new Map([...this.#objects].filter(([key]) => key.startsWith(prefix)))
    // Back from now to then.
    for (const change of this.changes.toReversed()) {
      if (change.resourceVersion <= version) break
      if (change.resource !== resource) continue
      const { namespace = '', name } = change.object.metadata
      const key = keyOf({ resource, namespace, name })
      if (change.before) all.set(key, change.before)
      else all.delete(key)
    }
    return [...all].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => structuredClone(object))
  }

  /** Changes of a resource after a version; 410 when they are forgotten. */
  since(resource: Resource, version: number): Change[] {
    if (version < this.#compacted) throw expired(`too old resource version: ${version} (${this.#compacted})`)
    return this.changes.filter((c) => c.resource === resource && c.resourceVersion > version)
  }

  create(at: Omit<Name, 'name'>, body: Json, options: WriteOptions = {}): Json {
    const { resource, namespace } = at
    const object = this.#shaped(resource, namespace, body)
    const { metadata } = object
    if (!metadata.name && metadata.generateName)
      metadata.name = `${metadata.generateName}${randomUUID().slice(0, 5)}`
    if (!metadata.name)
      throw new StatusError(
        422,
        'Invalid',
        `${resource.kind} "" is invalid: metadata.name: Required value: name or generateName is required`,
      )
    const name: Name = { resource, namespace, name: metadata.name }
    if (this.#objects.has(keyOf(name)))
      throw new StatusError(
        409,
        'AlreadyExists',
        `${qualified(resource)} ${JSON.stringify(metadata.name)} already exists`,
        detailsOf(name),
      )
    if (resource.namespaced && !this.#hasNamespace(namespace))
      throw new StatusError(404, 'NotFound', `namespaces ${JSON.stringify(namespace)} not found`)
    delete object.status
    return this.#write(name, object, null, options)
  }

  update(at: Name, body: Json, options: WriteOptions = {}): Json {
    const before = this.get(at)
    const sent = this.#shaped(at.resource, at.namespace, body)
    if (sent.metadata.name !== at.name)
      throw new StatusError(
        400,
        'BadRequest',
        `the name of the object (${sent.metadata.name}) does not match the name on the URL (${at.name})`,
      )
    return this.#replace(at, before, sent, options)
  }

  patch(at: Name, body: Json, contentType: string, options: WriteOptions = {}): Json {
    const before = this.get(at)
    return this.#replace(at, before, patched(before, body, contentType), options)
  }

  #replace(at: Name, before: Json, next: Json, options: WriteOptions): Json {
    const { resourceVersion, uid } = next.metadata
    if (resourceVersion === undefined && at.resource.kind === 'Lease')
      throw new StatusError(
        422,
        'Invalid',
        `${qualified(at.resource)} ${JSON.stringify(at.name)} is invalid: metadata.resourceVersion: Invalid value: 0x0: must be specified for an update`,
      )
    if (resourceVersion && resourceVersion !== before.metadata.resourceVersion)
      throw this.#conflict(
        at,
        'the object has been modified; please apply your changes to the latest version and try again',
      )
    if (uid && uid !== before.metadata.uid)
      throw this.#conflict(
        at,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${before.metadata.uid}`,
      )
    const object = structuredClone(next)
    if (options.subresource === 'status') object.spec = before.spec
    else if (at.resource.subresources.includes('status')) object.status = before.status
    return this.#write(at, object, before, options)
  }

  #conflict(at: Name, why: string): StatusError {
    return new StatusError(
      409,
      'Conflict',
      `Operation cannot be fulfilled on ${qualified(at.resource)} ${JSON.stringify(at.name)}: ${why}`,
      detailsOf(at),
    )
  }

  delete(at: Name, body: Json, options: WriteOptions = {}): Json {
    const before = this.get(at)
    const { resourceVersion, uid } = body?.preconditions ?? {}
    if (resourceVersion && resourceVersion !== before.metadata.resourceVersion)
      throw this.#conflict(
        at,
        `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${before.metadata.resourceVersion}`,
      )
    if (uid && uid !== before.metadata.uid) throw this.#conflict(at, 'Precondition failed')
    if (options.dryRun) return before
    const object = structuredClone(before)
    object.metadata.resourceVersion = String(++this.#version)
    this.#objects.delete(keyOf(at))
    this.#tell({ resourceVersion: this.#version, type: 'DELETED', resource: at.resource, object, before })
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: { ...detailsOf(at), uid: before.metadata.uid },
    }
  }

  scaleOf(at: Name): Json {
    const { metadata, spec, status } = this.get(at)
    const { name, namespace, uid, resourceVersion, creationTimestamp } = metadata
    const selector = Object.entries(spec.selector?.matchLabels ?? {})
      .map(([k, v]) => `${k}=${v}`)
      .join(',')
    return {
      kind: 'Scale',
      apiVersion: 'autoscaling/v1',
      metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
      spec: spec.replicas ? { replicas: spec.replicas } : {},
      status: { replicas: status?.replicas ?? 0, selector },
    }
  }

  /** `change` makes the new Scale out of the present one. */
  setScale(at: Name, change: (scale: Json) => Json, options: WriteOptions): Json {
    const before = this.get(at)
    const scale = change(this.scaleOf(at))
    checkScale(scale)
    const replicas = scale.spec?.replicas ?? 0
    if (replicas < 0)
      throw new StatusError(
        422,
        'Invalid',
        `Scale.autoscaling ${JSON.stringify(at.name)} is invalid: spec.replicas: Invalid value: ${replicas}: must be greater than or equal to 0`,
      )
    const next = structuredClone(before)
    next.spec.replicas = replicas
    next.metadata.resourceVersion = scale.metadata.resourceVersion
    const after = this.#replace(at, before, next, { ...options, subresource: 'scale' })
    return {
      ...this.scaleOf(at),
      spec: { replicas },
      metadata: { ...scale.metadata, resourceVersion: after.metadata.resourceVersion },
    }
  }

  /** Puts an object there as it is, status included, as the cluster's own controllers do; its namespace comes into being with it. */
  put(body: Json): Json {
    const resource = resourceOf(body)
    const namespace = resource.namespaced ? (body.metadata.namespace ?? 'default') : ''
    if (resource.namespaced && !this.#hasNamespace(namespace))
      this.put({
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: namespace },
        status: { phase: 'Active' },
      })
    const at = { resource, namespace, name: body.metadata.name }
    const before = this.find(at) ?? null
    const object = this.#shaped(resource, namespace, body)
    delete object.metadata.resourceVersion
    return this.#write(at, object, before, { fieldManager: 'kube-controller-manager' })
  }

  #hasNamespace(name: string): boolean {
    const resource = resources.find((r) => r.plural === 'namespaces')!
    return this.#objects.has(keyOf({ resource, namespace: '', name }))
  }

  #shaped(resource: Resource, namespace: string, body: Json): Json {
    const object = structuredClone(body)
    object.kind ??= resource.kind
    object.apiVersion ??= apiVersionOf(resource)
    if (object.kind !== resource.kind || object.apiVersion !== apiVersionOf(resource))
      throw new StatusError(
        400,
        'BadRequest',
        `${object.kind} in version ${JSON.stringify(object.apiVersion)} cannot be handled as a ${resource.kind}`,
      )
    object.metadata ??= {}
    if (resource.namespaced) {
      object.metadata.namespace ??= namespace
      if (object.metadata.namespace !== namespace)
        throw new StatusError(
          400,
          'BadRequest',
          'the namespace of the provided object does not match the namespace sent on the request',
        )
    } else delete object.metadata.namespace
    if (['Deployment', 'ReplicaSet', 'StatefulSet'].includes(resource.kind) && object.spec)
      object.spec.replicas ??= 1
    return object
  }

  #write(
    at: Name,
    object: Json,
    before: Json | null,
    { dryRun, fieldManager, subresource = '' }: WriteOptions,
  ): Json {
    checkSchema(at.resource.model, object, at.resource.kind)
    checkMeaning(at.resource, object, before)
    const { metadata } = object
    metadata.uid = before?.metadata.uid ?? metadata.uid ?? randomUUID()
    metadata.creationTimestamp =
      before?.metadata.creationTimestamp ?? metadata.creationTimestamp ?? this.#time()
    metadata.managedFields = before?.metadata.managedFields
    const specChanged = !before || !same(before.spec, object.spec)
    const generation = before ? before.metadata.generation + (specChanged ? 1 : 0) : 1
    // What a controller puts there may bring its own number.
    metadata.generation =
      fieldManager === 'kube-controller-manager' ? (metadata.generation ?? generation) : generation
    metadata.resourceVersion = before?.metadata.resourceVersion
    // A write that changes nothing makes no version and no event.
    if (before && same(before, object)) return structuredClone(before)
    metadata.managedFields = this.#managed(before, at, fieldManager ?? 'unknown', subresource)
    metadata.resourceVersion = String(this.#version + 1)
    if (dryRun)
      return { ...object, metadata: { ...metadata, resourceVersion: before?.metadata.resourceVersion } }
    const kept = structuredClone(object)
    this.#objects.set(keyOf(at), kept)
    this.#version++
    this.#tell({
      resourceVersion: this.#version,
      type: before ? 'MODIFIED' : 'ADDED',
      resource: at.resource,
      object: kept,
      before,
    })
    return structuredClone(kept)
  }

  #managed(before: Json | null, { resource }: Name, manager: string, subresource: string): Json[] {
    const others = (before?.metadata.managedFields ?? []).filter(
      (m: Json) => m.manager !== manager || (m.subresource ?? '') !== subresource,
    )
    const sub = subresource === '' ? {} : { subresource }
    const entry = {
      manager,
      operation: 'Update',
      apiVersion: apiVersionOf(resource),
      time: this.#time(),
      fieldsType: 'FieldsV1',
      fieldsV1: {},
      ...sub,
    }
    return [...others, entry]
  }

  #time(): string {
    return new Date(this.#now()).toISOString().replace(/\.\d+Z$/, 'Z')
  }

  #tell(change: Change): void {
    this.changes.push(change)
    for (const run of this.#listeners) run(change)
  }
}
