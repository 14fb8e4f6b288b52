// Rules at work: groups under a clock moved by hand, alerts sent, series written, state kept over restarts and reloads.
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { duration } from '../../src/lib/time.ts'
import { labelsOf } from '../../src/model/labels.ts'
import { SeriesTable } from '../../src/model/series.ts'
import { groupOffset } from '../../src/rules/group.ts'
import { FakeClock } from '../kit/clock.ts'
import { type Elements, type RuleStage, ruleStage, type Script, startAt } from '../kit/rule-script.ts'

const minute = 60_000
const offset = groupOffset({ file: 'r.yaml', name: 'g', interval: duration(minute) })
/** The time of evaluation n (1 = the first), in seconds since the start. */
const t = (n: number, less = 0): number => ((n - 1) * minute + offset - less * 1000) / 1000
const rest = (): Promise<void> => new Promise((done) => setTimeout(done, 15))
/** Lets n evaluations happen, files included. */
const minutes = async (stage: RuleStage, n: number): Promise<void> => {
  for (let i = 0; i < n; i++) {
    await stage.clock.advance(minute)
    await rest()
  }
}
const file = (rules: string, more = ''): Record<string, string> => ({
  'r.yaml': `groups:\n  - name: g\n${more}    rules:\n${rules.replace(/^/gm, '      ')}\n`,
})
const downFor = (hold: string): string => `- alert: Down
  expr: down
  for: ${hold}
  labels: { severity: page }
  annotations: { summary: "{{ $labels.host }} is {{ $value }}" }`
const down: Elements = [[{ __name__: 'down', host: 'a' }, 3]]

it('ends an alert that fired before the clock was set back, in a way that receivers take', async () => {
  let now = down
  const stage = await ruleStage({ down: () => now }, file(downFor('0s')))
  await minutes(stage, 1)
  stage.clock.jump(stage.clock.now() - 180 * minute)
  await minutes(stage, 1)
  now = []
  await minutes(stage, 2)
  const last = stage.sent.at(-1)?.[0]
  expect(last?.endsAt).toBeLessThanOrEqual(stage.clock.now())
  expect(last?.startsAt).toBeLessThanOrEqual(last!.endsAt)
})

it('goes from pending to firing to resolved, and tells those who wait', async () => {
  let now = down
  const stage = await ruleStage({ down: () => now }, file(downFor('2m')))
  await minutes(stage, 2)
  expect(stage.sent).toEqual([])
  expect(stage.rules.groups()[0]?.rules[0]).toMatchObject({
    state: 'pending',
    health: 'ok',
    type: 'alerting',
  })
  await minutes(stage, 1)
  const firedAt = startAt + t(3) * 1000
  expect(stage.sent).toEqual([
    [
      {
        labels: { alertname: 'Down', host: 'a', severity: 'page' },
        annotations: { summary: 'a is 3' },
        startsAt: firedAt,
        endsAt: firedAt + 4 * minute,
        generatorURL: 'http://airboss.example/explore?expr=down',
      },
    ],
  ])
  now = []
  await minutes(stage, 1)
  expect(stage.sent[1]?.[0]).toMatchObject({ startsAt: firedAt, endsAt: startAt + t(4) * 1000 })
  expect(stage.rules.alertsList()).toEqual([])
  expect(stage.written).toEqual(
    [
      `ALERTS{alertname="Down", alertstate="pending", host="a", severity="page"} ${t(1)} 1`,
      `ALERTS_FOR_STATE{alertname="Down", host="a", severity="page"} ${t(1)} ${Math.floor(startAt / 1000 + t(1))}`,
      `ALERTS{alertname="Down", alertstate="pending", host="a", severity="page"} ${t(2)} 1`,
      `ALERTS_FOR_STATE{alertname="Down", host="a", severity="page"} ${t(2)} ${Math.floor(startAt / 1000 + t(1))}`,
      `ALERTS{alertname="Down", alertstate="firing", host="a", severity="page"} ${t(3)} 1`,
      `ALERTS_FOR_STATE{alertname="Down", host="a", severity="page"} ${t(3)} ${Math.floor(startAt / 1000 + t(1))}`,
      `ALERTS{alertname="Down", alertstate="pending", host="a", severity="page"} ${t(3)} stale`,
      `ALERTS_FOR_STATE{alertname="Down", host="a", severity="page"} ${t(4)} stale`,
      `ALERTS{alertname="Down", alertstate="firing", host="a", severity="page"} ${t(4)} stale`,
    ].sort((a, b) => stage.written.indexOf(a) - stage.written.indexOf(b)),
  )
  await stage.rules.drain()
})

it('a failed query resolves nothing, keeps telling, and marks only its own rule', async () => {
  let now: Elements | Error = down
  const stage = await ruleStage(
    { down: () => now, other: () => [[{ x: '1' }, 5]] },
    file(`${downFor('0s')}\n- record: rec\n  expr: other`),
  )
  await minutes(stage, 1)
  now = new Error('store is away')
  await minutes(stage, 3)
  expect(stage.rules.groups()[0]?.rules).toMatchObject([
    { state: 'firing', health: 'err', lastError: 'store is away' },
    { type: 'recording', health: 'ok' },
  ])
  expect(stage.sent.length).toBeGreaterThanOrEqual(2)
  const last = stage.sent.at(-1)![0]!
  expect(last.endsAt).toBeGreaterThan(stage.clock.now())
  expect(stage.written.filter((w) => w.startsWith('rec'))).toHaveLength(4)
  expect(stage.written.some((w) => w.endsWith('stale'))).toBe(false)
  expect(stage.metrics.values.get('airboss_rule_evaluation_failures_total{rule_group="r.yaml;g"}')).toBe(3)
  await stage.rules.drain()
})

it('tries again when alerts or samples could not be handed on', async () => {
  let now = down
  const stage = await ruleStage({ down: () => now }, file(downFor('0s')))
  stage.failAlerts = new Error('no')
  await minutes(stage, 1)
  stage.failAlerts = null
  now = []
  stage.failSink = new Error('disk full')
  await minutes(stage, 1)
  // It resolved before it could be told as firing: the end is told at once.
  expect(stage.sent).toHaveLength(1)
  expect(stage.rules.groups()[0]?.rules[0]).toMatchObject({
    health: 'err',
    lastError: 'the result could not be written: disk full',
  })
  stage.failSink = null
  await minutes(stage, 1)
  expect(stage.written.filter((w) => w.endsWith('stale'))).toHaveLength(2)
  await stage.rules.drain()
})

it('records with labels, marks what vanished as stale, and lets later rules read earlier ones', async () => {
  let now: Elements = [
    [{ __name__: 'in', a: '1', drop: 'x' }, 1],
    [{ __name__: 'in', a: '2' }, Number.NaN],
  ]
  const order: string[] = []
  const stage = await ruleStage(
    {
      in: () => now,
      first: () => {
        order.push(`second asked after ${stage.written.length} samples`)
        return [[{}, 2]]
      },
    },
    file(
      '- record: first\n  expr: in\n  labels: { drop: "", team: ops }\n- record: second\n  expr: first',
      '    query_offset: 30s\n',
    ),
  )
  await minutes(stage, 1)
  expect(order).toEqual(['second asked after 2 samples'])
  expect(stage.written).toEqual([
    `first{a="1", team="ops"} ${t(1, 30)} 1`,
    `first{a="2", team="ops"} ${t(1, 30)} NaN`,
    `second ${t(1, 30)} 2`,
  ])
  now = [[{ __name__: 'in', a: '2' }, 4]]
  stage.written.length = 0
  await minutes(stage, 1)
  expect(stage.written).toContain(`first{a="1", team="ops"} ${t(2, 30)} stale`)
  await stage.rules.drain()
})

it('refuses two results in one label set, a matrix, and more than the limit', async () => {
  const many: Elements = [
    [{ a: '1' }, 1],
    [{ a: '2' }, 1],
    [{ a: '3' }, 1],
  ]
  const stage = await ruleStage(
    { many: () => many, text: (at) => ({ kind: 'string', at, value: 'x' }), one: () => [[{}, 1]] },
    file(
      '- record: r1\n  expr: many\n  labels: { a: x }\n- record: r2\n  expr: text\n- record: r3\n  expr: many\n- alert: A1\n  expr: many\n  labels: { a: x }\n- alert: A2\n  expr: many\n- alert: A3\n  expr: one',
      '    limit: 2\n',
    ),
  )
  await minutes(stage, 1)
  expect(stage.rules.groups()[0]?.rules.map((r) => r.lastError)).toEqual([
    expect.stringContaining('two elements that become r1{a="x"}'),
    expect.stringContaining('result is a string'),
    'exceeded limit of 2 with 3 series',
    expect.stringContaining('become one alert'),
    'exceeded limit of 2 with 3 alerts',
    '',
  ])
  expect(stage.rules.alertsList()).toHaveLength(1)
  await stage.rules.drain()
})

it('a query that hangs times out, delays no other group, and counts the missed evaluations', async () => {
  const files = {
    ...file(downFor('0s')),
    's.yaml':
      'groups:\n  - name: slow\n    interval: 30s\n    rules:\n      - { record: slow, expr: hangs }\n',
  }
  const stage = await ruleStage({ down: () => down, hangs: () => 'hang' as const }, files, {
    deps: { concurrency: 1, queryTimeout: duration(90_000) },
    stateFile: null,
  })
  await stage.clock.advance(4 * minute)
  expect(stage.sent.length).toBeGreaterThanOrEqual(1)
  const slow = stage.rules.groups().find((g) => g.name === 'slow')
  expect(slow?.rules[0]).toMatchObject({ health: 'err', lastError: 'the query took longer than 1m30s' })
  expect(
    stage.metrics.values.get('airboss_rule_group_iterations_missed_total{rule_group="s.yaml;slow"}'),
  ).toBeGreaterThan(0)
  const good = stage.rules.groups().find((g) => g.name === 'g')
  expect(stage.clock.now() - good!.lastEvaluationAt!).toBeLessThan(2 * minute)
  await stage.rules.drain()
})

describe('over a restart', () => {
  const states: [string, number, Partial<Record<string, unknown>>][] = [
    ['10m', 3, { state: 'pending', activeAt: startAt + t(1) * 1000 }],
    ['2m', 5, { state: 'firing', activeAt: startAt + t(1) * 1000 }],
  ]
  it.each(states)('for %s after %d minutes', async (hold, n, expected) => {
    let stage = await ruleStage({ down: () => down }, file(downFor(hold)))
    await minutes(stage, n)
    const before = stage.rules.alertsList()
    expect(before[0]).toMatchObject(expected)
    const sent = stage.sent.length
    stage = await stage.restart()
    expect(stage.rules.alertsList()).toEqual(before)
    expect(stage.sent).toHaveLength(0)
    await minutes(stage, 1)
    expect(stage.rules.alertsList()[0]).toMatchObject(expected)
    expect(stage.written[0]).toMatch(/^ALERTS/)
    expect(sent === 0 || stage.sent.length <= 1).toBe(true)
    await stage.rules.drain()
  })

  it('goes on keeping an alert firing, and resolves it when its time is over', async () => {
    let now = down
    const script: Script = { down: () => now }
    let stage = await ruleStage(script, file(`${downFor('0s')}\n  keep_firing_for: 3m`))
    await minutes(stage, 1)
    now = []
    await minutes(stage, 1)
    const since = stage.rules.alertsList()[0]?.keepFiringSinceAt
    expect(since).toBe(startAt + t(2) * 1000)
    stage = await stage.restart()
    await minutes(stage, 1)
    expect(stage.rules.alertsList()[0]).toMatchObject({ state: 'firing', keepFiringSinceAt: since })
    await minutes(stage, 2)
    expect(stage.rules.alertsList()).toEqual([])
    expect(stage.sent.at(-1)?.[0]?.endsAt).toBe(startAt + t(5) * 1000)
    await stage.rules.drain()
  })

  it('tells the end of an alert that went away while it was down', async () => {
    let now = down
    let stage = await ruleStage({ down: () => now }, file(downFor('0s')))
    await minutes(stage, 1)
    now = []
    stage = await stage.restart()
    await minutes(stage, 1)
    expect(stage.sent[0]?.[0]).toMatchObject({ endsAt: startAt + t(2) * 1000, labels: { host: 'a' } })
    expect(stage.written.every((w) => w.endsWith('stale'))).toBe(true)
    expect(stage.written).toHaveLength(2)
    await stage.rules.drain()
  })

  it('goes on without a broken state file, and sets it aside', async () => {
    const stateFile = join(mkdtempSync(join(tmpdir(), 'rules-')), 'state.json')
    writeFileSync(stateFile, '{"version":1,"groups":{"half')
    const stage = await ruleStage({ down: () => down }, file(downFor('0s')), { stateFile })
    await minutes(stage, 1)
    expect(stage.rules.alertsList()).toHaveLength(1)
    expect(existsSync(`${stateFile}.broken`)).toBe(true)
    expect(stage.metrics.values.get('airboss_rule_state_failures_total{}')).toBe(1)
    expect(JSON.parse(readFileSync(stateFile, 'utf8')).groups['r.yaml;g'].rules).toHaveLength(1)
    await stage.rules.drain()
  })

  it('restores from ALERTS_FOR_STATE when no state is kept, and writes nothing before', async () => {
    const activeAt = startAt / 1000 - 1500
    const lastAt = startAt - 5 * minute
    const series = labelsOf({ __name__: 'ALERTS_FOR_STATE', alertname: 'Down', host: 'a', severity: 'page' })
    const selector = 'ALERTS_FOR_STATE{alertname="Down"}'
    const stage = await ruleStage(
      {
        down: () => down,
        [`${selector}[3600s]`]: () => ({
          kind: 'matrix',
          labels: [series],
          start: Uint32Array.of(0),
          end: Uint32Array.of(1),
          at: Float64Array.of(lastAt),
          value: Float64Array.of(activeAt),
        }),
        [selector]: (at) => ({
          kind: 'vector',
          at,
          labels: at < lastAt + 5 * minute ? [series] : [],
          values: Float64Array.of(1),
        }),
      },
      file(downFor('20m')),
      { stateFile: null },
    )
    await minutes(stage, 2)
    expect(stage.written).toEqual([])
    expect(stage.rules.alertsList()[0]).toMatchObject({ activeAt: activeAt * 1000 })
    await minutes(stage, 1)
    expect(stage.rules.alertsList()[0]).toMatchObject({ state: 'firing' })
    expect(stage.written).toHaveLength(2)
    await stage.rules.drain()
  })
})

describe('over a reload', () => {
  const reload = (stage: RuleStage, files: Record<string, string>): Promise<void> =>
    stage.rules.apply(Object.entries(files).map(([name, text]) => ({ file: name, text })))

  it('keeps alerts of rules of the same name and labels, and ends the series of those that went', async () => {
    const stage = await ruleStage(
      { down: () => down, other: () => [[{ x: '1' }, 1]] },
      file(`${downFor('0s')}\n- record: rec\n  expr: other`),
    )
    await minutes(stage, 2)
    const before = stage.rules.alertsList()
    await reload(stage, file(downFor('1m')))
    expect(stage.rules.alertsList()).toEqual(before)
    expect(stage.written.at(-1)).toMatch(/^rec\{x="1"\} \d+(\.\d+)? stale$/)
    await minutes(stage, 1)
    expect(stage.rules.alertsList()[0]).toMatchObject({ state: 'firing', activeAt: startAt + t(1) * 1000 })
    await reload(stage, {})
    expect(stage.rules.groups()).toEqual([])
    expect(stage.written.slice(-2).every((w) => w.endsWith('stale'))).toBe(true)
    await stage.rules.drain()
  })

  it('leaves everything running when the new files are wrong, naming every mistake', async () => {
    const stage = await ruleStage({ down: () => down }, file(downFor('0s')))
    await minutes(stage, 1)
    const wrong = {
      'a.yaml':
        'groups:\n  - name: g\n    rules:\n      - alert: X\n        expr: bad thing\n        annotations:\n          summary: "{{ .x | nope }}"\n      - record: y\n        expr: ok\n        for: 5m\n',
      'b.yaml': 'groups:\n  - name: g\n    rulez: []\n',
    }
    await expect(reload(stage, wrong)).rejects.toThrow(
      [
        'a.yaml:7: groups[0].rules[0].annotations.summary: template summary:1:9: function "nope" is not defined',
        'a.yaml:5: groups[0].rules[0].expr: 1:5: unexpected thing',
        'a.yaml:10: groups[0].rules[1].for: for belongs to alerts; remove it from this recording rule',
        'b.yaml:3: groups[0].rulez: unknown key; check its spelling, or remove it',
      ].join('\n'),
    )
    expect(stage.metrics.values.get('airboss_rule_config_last_reload_successful{}')).toBe(0)
    const asked = stage.asked.length
    await minutes(stage, 1)
    expect(stage.asked.length).toBe(asked + 1)
    expect(stage.rules.alertsList()).toHaveLength(1)
    await stage.rules.drain()
  })
})

it('evaluates at times of its own that do not move, and runs nothing before start or after drain', async () => {
  const clock = new FakeClock(startAt + 17_000)
  const stage = await ruleStage({ down: () => [] }, file(downFor('0s')), { clock })
  await minutes(stage, 3)
  const at = stage.rules.groups()[0]!.lastEvaluationAt!
  expect((at - offset) % minute).toBe(0)
  await stage.rules.drain()
  const asked = stage.asked.length
  await minutes(stage, 3)
  expect(stage.asked.length).toBe(asked)
})

it('renders with queries of its own, and says in place what cannot be rendered', async () => {
  const stage = await ruleStage(
    {
      down: () => down,
      'sum(x)': () => [
        [{ job: 'b' }, 2048],
        [{ job: 'a' }, 1],
      ],
    },
    file(`- alert: Down
  expr: down
  annotations:
    a: '{{ range query "sum(x)" | sortByLabel "job" }}{{ .Labels.job }}={{ .Value | humanize1024 }} {{ end }}{{ $externalURL }}'
    b: '{{ query "sum(x)" | first | label "job" }} {{ with query "none" }}x{{ else }}nothing{{ end }}'
    c: '{{ query "none" | first | value }}'
    d: '{{ define "t" }}<{{ .arg0 }}>{{ end }}{{ tmpl "t" (args $value) }}'`),
  )
  await minutes(stage, 1)
  expect(stage.sent[0]?.[0]?.annotations).toEqual({
    a: 'a=1 b=2ki http://airboss.example',
    b: 'b nothing',
    c: '<error expanding template: template c:1:19: error calling first: first() called on a query without a result>',
    d: '<3>',
  })
  await stage.rules.drain()
})

it('keeps two versions of an agent apart by the text of their labels, and takes group labels', async () => {
  const stage = await ruleStage(
    { down: () => [[{}, 1]] },
    file(
      '- record: rec\n  expr: down\n  labels: { version: 1.10, flag: yes }\n- alert: A\n  expr: down\n  labels: { team: own }',
      '    labels: { team: ops }\n',
    ),
  )
  await minutes(stage, 1)
  expect(stage.written[0]).toMatch(/^rec\{flag="yes", team="ops", version="1.10"\}/)
  expect(stage.rules.alertsList()[0]?.labels).toEqual(['alertname', 'A', 'team', 'own'])
  await stage.rules.drain()
})

it('adds external labels to what it tells, not to what it writes', async () => {
  const stage = await ruleStage({ down: () => down }, file(downFor('0s')), {
    deps: { externalLabels: { site: 'lab', host: 'no' } },
  })
  await minutes(stage, 1)
  expect(stage.sent[0]?.[0]?.labels).toEqual({ site: 'lab', host: 'a', alertname: 'Down', severity: 'page' })
  expect(stage.written.some((w) => w.includes('lab'))).toBe(false)
  await stage.rules.drain()
})

it('says when series do not fit any more, and tells alerts all the same', async () => {
  const stage = await ruleStage({ down: () => down }, file(downFor('0s')), {
    deps: { table: new SeriesTable(0) },
  })
  await minutes(stage, 1)
  expect(stage.sent).toHaveLength(1)
  expect(stage.rules.groups()[0]?.rules[0]).toMatchObject({
    health: 'err',
    state: 'firing',
    lastError: expect.stringContaining('limit of series'),
  })
  await stage.rules.drain()
})

it('reads every shipped pack', async () => {
  const folder = new URL('../../rules/', import.meta.url)
  const packs = readdirSync(folder).filter((f) => f.endsWith('.yaml'))
  const stage = await ruleStage(
    {},
    Object.fromEntries(packs.map((f) => [f, readFileSync(new URL(f, folder), 'utf8')])),
  )
  expect(stage.rules.groups().length).toBeGreaterThanOrEqual(9)
  await stage.rules.drain()
})
