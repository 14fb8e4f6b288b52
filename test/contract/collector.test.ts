// The Collector configurations against what is known of its components: names, keys, pipelines, and the names Airboss's rules and dashboards read.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { hostMetrics } from '../../src/receive/host/series.ts'

const root = join(fileURLToPath(import.meta.url), '../../..')
const files = ['host', 'gateway', 'kubernetes'] as const

// biome-ignore lint/suspicious/noExplicitAny: configurations of many components
type Any = any
const read = (path: string): Any => parse(readFileSync(join(root, path), 'utf8'))

/** Keys that each component takes (of those any file here could use), by its documentation. */
const exporterQueue = ['retry_on_failure', 'sending_queue', 'timeout']
const components: Record<string, Record<string, readonly string[]>> = {
  receivers: {
    hostmetrics: [
      'collection_interval',
      'initial_delay',
      'root_path',
      'scrapers',
      'metadata_collection_interval',
    ],
    otlp: ['protocols'],
    filelog: ['include', 'exclude', 'include_file_path', 'start_at', 'operators', 'storage'],
    kubeletstats: [
      ...['auth_type', 'endpoint', 'collection_interval', 'insecure_skip_verify', 'metric_groups'],
      ...['extra_metadata_labels', 'metrics', 'resource_attributes', 'ca_file', 'node', 'k8s_api_config'],
    ],
    k8s_cluster: [
      ...['auth_type', 'collection_interval', 'node_conditions_to_report', 'allocatable_types_to_report'],
      ...[
        'distribution',
        'metrics',
        'resource_attributes',
        'metadata_collection_interval',
        'k8s_leader_elector',
      ],
    ],
  },
  processors: {
    memory_limiter: [
      ...['check_interval', 'limit_mib', 'spike_limit_mib', 'limit_percentage', 'spike_limit_percentage'],
    ],
    batch: [
      'timeout',
      'send_batch_size',
      'send_batch_max_size',
      'metadata_keys',
      'metadata_cardinality_limit',
    ],
    resourcedetection: ['detectors', 'timeout', 'override', 'system', 'attributes'],
    transform: ['error_mode', 'metric_statements', 'trace_statements', 'log_statements'],
    k8sattributes: ['auth_type', 'passthrough', 'filter', 'extract', 'pod_association', 'exclude'],
  },
  exporters: {
    otlphttp: ['endpoint', 'headers', 'compression', 'encoding', 'tls', 'auth', ...exporterQueue],
  },
  extensions: { health_check: ['endpoint', 'path'] },
}
const scrapers = [
  'cpu',
  'load',
  'memory',
  'paging',
  'disk',
  'filesystem',
  'network',
  'processes',
  'process',
  'system',
]
const queueKeys = ['enabled', 'num_consumers', 'queue_size', 'storage', 'block_on_overflow', 'sizer', 'batch']
const retryKeys = ['enabled', 'initial_interval', 'max_interval', 'max_elapsed_time', 'multiplier']

const problems = (config: Any): string[] => {
  const out: string[] = []
  const known = ['receivers', 'processors', 'exporters', 'extensions', 'connectors', 'service']
  for (const key of Object.keys(config)) if (!known.includes(key)) out.push(`unknown section ${key}`)
  for (const [section, types] of Object.entries(components))
    for (const [id, settings] of Object.entries((config[section] ?? {}) as Record<string, Any>)) {
      const keys = types[id.split('/')[0]!]
      if (!keys) out.push(`${section}: no component ${id}`)
      for (const key of Object.keys(settings ?? {}))
        if (keys && !keys.includes(key)) out.push(`${id}: no key ${key}`)
      const wrong = (inside: string, allowed: readonly string[]): void => {
        for (const key of Object.keys(settings?.[inside] ?? {}))
          if (!allowed.includes(key)) out.push(`${id}.${inside}: no key ${key}`)
      }
      wrong('scrapers', scrapers)
      wrong('sending_queue', queueKeys)
      wrong('retry_on_failure', retryKeys)
    }
  const used = new Set<string>(config.service?.extensions ?? [])
  for (const id of used) if (!config.extensions?.[id]) out.push(`extension ${id} is not defined`)
  const pipelines = Object.entries((config.service?.pipelines ?? {}) as Record<string, Any>)
  if (pipelines.length === 0) out.push('no pipelines')
  for (const [name, pipeline] of pipelines) {
    if (!/^(metrics|traces|logs)(\/\w+)?$/.test(name)) out.push(`no signal: pipeline ${name}`)
    for (const section of ['receivers', 'processors', 'exporters']) {
      const ids: string[] = pipeline[section] ?? []
      if (ids.length === 0 && section !== 'processors') out.push(`pipeline ${name} has no ${section}`)
      for (const id of ids) {
        used.add(`${section}:${id}`)
        // A component without settings stands there as null.
        if (!Object.hasOwn(config[section] ?? {}, id))
          out.push(`pipeline ${name}: ${section} ${id} is not defined`)
      }
    }
    const order: string[] = pipeline.processors ?? []
    if (order[0] !== 'memory_limiter') out.push(`pipeline ${name}: memory_limiter must come first`)
    if (order.at(-1) !== 'batch') out.push(`pipeline ${name}: batch must come last`)
  }
  for (const section of ['receivers', 'processors', 'exporters'])
    for (const id of Object.keys(config[section] ?? {}))
      if (!used.has(`${section}:${id}`)) out.push(`${section} ${id} is in no pipeline`)
  return out
}

/** Statement by statement: parentheses closed, quotes paired, functions that exist. */
const functions =
  'set|delete_key|delete_matching_keys|keep_matching_keys|merge_maps|replace_pattern|IsMatch'.split('|')
const statementProblem = (statement: string): string | null => {
  const bare = statement.replaceAll(/"(\\.|[^"\\])*"/g, '""')
  if (bare.replaceAll('""', '').includes('"')) return 'an open quote'
  let depth = 0
  for (const c of bare) {
    depth += c === '(' ? 1 : c === ')' ? -1 : 0
    if (depth < 0) return 'a parenthesis too many'
  }
  if (depth !== 0) return 'an open parenthesis'
  const unknown = [...bare.matchAll(/(\w+)\(/g)].map((m) => m[1]!).filter((f) => !functions.includes(f))
  return unknown.length > 0 ? `no function ${unknown.join()}` : null
}

describe.each(files)('collector/%s.yaml', (file) => {
  const config = read(`collector/${file}.yaml`)
  test('components and keys are known, pipelines whole', () => {
    expect(problems(config)).toEqual([])
  })
  test('everything ends at Airboss by OTLP, with retries within the age it takes', () => {
    for (const pipeline of Object.values(config.service.pipelines) as Any[])
      expect(pipeline.exporters).toEqual(['otlphttp/airboss'])
    const airboss = config.exporters['otlphttp/airboss']
    expect(airboss.endpoint).toMatch(/^\$\{env:AIRBOSS_OTLP/)
    expect(airboss.retry_on_failure).toMatchObject({ enabled: true, max_elapsed_time: '50m' })
    expect(airboss.sending_queue.enabled).toBe(true)
  })
  test('statements of transforms are well-formed', () => {
    const wrong: string[] = []
    for (const [id, processor] of Object.entries((config.processors ?? {}) as Record<string, Any>))
      for (const group of [
        ...(processor?.metric_statements ?? []),
        ...(processor?.trace_statements ?? []),
        ...(processor?.log_statements ?? []),
      ]) {
        expect(['resource', 'scope', 'metric', 'datapoint', 'span', 'log']).toContain(group.context)
        for (const statement of group.statements) {
          const problem = statementProblem(statement)
          if (problem) wrong.push(`${id}: ${problem} in ${statement}`)
        }
      }
    expect(wrong).toEqual([])
  })
})

describe('what the checks catch', () => {
  const good = read('collector/gateway.yaml')
  const changed = (change: (config: Any) => void): string[] => {
    const copy = structuredClone(good)
    change(copy)
    return problems(copy)
  }
  test.each<[string, (c: Any) => void, string]>([
    [
      'an unknown component',
      (c) => Object.assign(c.receivers, { otlpp: {} }),
      'receivers: no component otlpp',
    ],
    ['an unknown key', (c) => Object.assign(c.processors.batch, { size: 1 }), 'batch: no key size'],
    [
      'a component that is not defined',
      (c) => c.service.pipelines.metrics.receivers.push('prometheus'),
      'pipeline metrics: receivers prometheus is not defined',
    ],
    [
      'a wrong order',
      (c) => c.service.pipelines.metrics.processors.reverse(),
      'pipeline metrics: memory_limiter must come first',
    ],
    [
      'one that is unused',
      (c) => Object.assign(c.exporters, { 'otlphttp/two': {} }),
      'exporters otlphttp/two is in no pipeline',
    ],
  ])('%s', (_, change, problem) => {
    expect(changed(change)).toContain(problem)
  })
  test('a statement left open', () => {
    expect(statementProblem('set(attributes["a"], "b"')).toBe('an open parenthesis')
    expect(statementProblem('put(attributes["a"], "b")')).toBe('no function put')
  })
})

describe('host.yaml', () => {
  const statements: string[] = read('collector/host.yaml').processors[
    'transform/conventions'
  ].metric_statements.flatMap((g: Any) => g.statements)
  test('gives attributes the names that rules and dashboards read', () => {
    const given = new Set(
      statements.flatMap((s) => /^set\(attributes\["([^"]+)"\]/.exec(s)?.[1]?.replaceAll('.', '_') ?? []),
    )
    const texts = ['rules/host.yaml', 'dashboards/host.ts']
      .map((f) => readFileSync(join(root, f), 'utf8'))
      .join('\n')
    const readLabels = new Set(
      [...texts.matchAll(/\b((?:system|cpu|disk|network|process)_[a-z_]+)\b/g)]
        .map((m) => m[1]!)
        .filter((name) =>
          /^(cpu_|disk_io_direction|network_|process_status)|_(state|direction|device|mountpoint|type|mode)$/.test(
            name,
          ),
        )
        .filter((name) => !Object.hasOwn(hostMetrics, name)),
    )
    expect(readLabels.size).toBeGreaterThan(8)
    expect([...readLabels].filter((name) => !given.has(name))).toEqual([])
  })
  test('and metrics the names that Airboss itself collects them under', () => {
    for (const s of statements) {
      const name = /^set\(name, "([^"]+)"\)/.exec(s)?.[1]?.replaceAll('.', '_')
      if (name)
        expect(
          Object.keys(hostMetrics).some((m) => m === name || m === `${name}_total`),
          name,
        ).toBe(true)
    }
  })
})
