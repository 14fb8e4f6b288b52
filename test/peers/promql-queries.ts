// Several hundred PromQL queries made by crossing functions, operators and windows over the peer test's data.

const ranges = ['2m', '5m', '613s']
const overTime = ['sum', 'avg', 'min', 'max', 'count', 'last', 'stddev', 'stdvar', 'present', 'first', 'mad']
const maths = [
  'abs',
  'ceil',
  'floor',
  'exp',
  'ln',
  'log2',
  'log10',
  'sqrt',
  'sgn',
  'sin',
  'cos',
  'tan',
  'asin',
  'acos',
  'atan',
  'sinh',
  'cosh',
  'tanh',
  'asinh',
  'acosh',
  'atanh',
  'deg',
  'rad',
]
const groupings = ['', 'by (room)', 'by (room, floor)', 'without (room)', 'by (none)', 'by (__name__)']
const arithmetics = ['+', '-', '*', '/', '%', '^', 'atan2']
const comparisons = ['==', '!=', '>', '<', '>=', '<=']
const dates = [
  'minute',
  'hour',
  'day_of_week',
  'day_of_month',
  'day_of_year',
  'days_in_month',
  'month',
  'year',
]

const windows = function* (): Generator<string> {
  for (const r of ranges) {
    for (const f of ['rate', 'increase', 'irate', 'resets', 'changes', 'delta', 'idelta', 'deriv'])
      for (const m of ['req_total', 'temp', 'gappy']) yield `${f}(${m}[${r}])`
    for (const f of overTime) for (const m of ['temp', 'gappy', 'odd']) yield `${f}_over_time(${m}[${r}])`
    for (const q of ['0', '0.25', '0.9', '1', '1.5', '-1']) yield `quantile_over_time(${q}, temp[${r}])`
    yield `predict_linear(temp[${r}], 600)`
    yield `predict_linear(gappy[${r}] offset 90s, 60)`
    yield `double_exponential_smoothing(temp[${r}], 0.3, 0.7)`
    yield `absent_over_time(nothing{a="b"}[${r}])`
    yield `absent_over_time(gappy[${r}])`
    for (const f of ['max', 'min', 'first', 'last']) yield `ts_of_${f}_over_time(temp[${r}])`
  }
  yield 'rate(req_total[5m] offset 3m)'
  yield 'rate(req_total[5m] offset -1m)'
  yield 'sum_over_time(temp[5m] @ end())'
  yield 'avg_over_time(temp[4m] @ start() offset 1m)'
}

const aggregations = function* (): Generator<string> {
  for (const g of groupings) {
    for (const op of ['sum', 'avg', 'min', 'max', 'count', 'group', 'stddev', 'stdvar'])
      for (const m of ['temp', 'odd', 'rate(req_total[5m])', '{__name__=~"temp|gappy"}'])
        yield `${op} ${g} (${m})`
    for (const q of ['0.5', '0.9', '2']) yield `quantile ${g} (${q}, temp)`
    yield `count_values ${g} ("v", floor(temp / 20))`
    for (const k of ['1', '3', '0', '100']) yield `topk ${g} (${k}, temp)`
    yield `bottomk ${g} (2, temp)`
    yield `sum ${g} (sum by (room, floor) (temp))`
  }
  yield 'limitk(100, temp)'
  yield 'limit_ratio(1, temp)'
  yield 'count(topk(scalar(count(info)), temp))'
}

const operators = function* (): Generator<string> {
  for (const op of arithmetics) {
    yield `temp ${op} 3`
    yield `7 ${op} temp`
    yield `temp ${op} humidity`
    yield `temp ${op} on(room, floor) humidity`
    yield `temp ${op} ignoring(kind) limits`
    yield `temp ${op} on(room) group_left(owner) rooms`
    yield `rooms ${op} on(room) group_right(owner) temp`
    yield `req_total ${op} on(job) group_left info`
    yield `2.5 ${op} -3`
    yield `temp ${op} on(room) humidity`
  }
  for (const op of comparisons) {
    for (const right of ['20', 'bool 20', 'humidity', 'bool humidity', 'on(room) group_left rooms'])
      yield `temp ${op} ${right}`
    yield `20 ${op} temp`
    yield `20 ${op} bool temp`
    yield `1 ${op} bool 2`
    yield `rooms ${op} on(room) group_right temp`
    yield `temp ${op} on(floor) humidity`
  }
  for (const op of ['and', 'or', 'unless'])
    for (const right of [
      'humidity',
      'on(room) rooms',
      'ignoring(room, floor) limits',
      'nothing',
      'on() vector(1)',
    ])
      yield `temp ${op} ${right}`
  yield* [
    '-temp',
    '+temp',
    '-temp ^ 2',
    '2 ^ 3 ^ 2',
    '-1 ^ 2',
    '1 + 2 * 3 % 4 - 5',
    'temp > 10 < 25',
    'temp or humidity or rooms',
  ]
  yield* [
    'sum(temp) + on() sum(humidity)',
    'temp * 2 + humidity / 3 - 1',
    '(temp > 15) and (humidity < 60)',
    'temp and temp > 20 or humidity',
  ]
  yield* [
    'nothing + temp',
    'temp == NaN',
    'odd == odd',
    'odd != odd',
    '{__name__=~"temp|humidity"} + 1',
    'Inf - Inf',
    '0 / 0',
    '5 % 0',
  ]
}

const functions = function* (): Generator<string> {
  for (const f of maths) yield `${f}(temp / 30)`
  for (const f of dates) {
    yield `${f}()`
    yield `${f}(vector(time() * 1.37))`
    yield `${f}(temp * 1e7)`
  }
  yield* [
    'clamp(temp, 10, 20)',
    'clamp(temp, 20, 10)',
    'clamp_min(odd, 15)',
    'clamp_max(odd, 15)',
    'round(temp)',
    'round(temp, 0.3)',
    'round(-temp, 5)',
  ]
  yield* [
    'absent(temp)',
    'absent(nothing{a="b",c!="d",e="f",e="g"})',
    'absent(sum(nothing))',
    'scalar(temp)',
    'scalar(sum(temp))',
    'vector(3)',
    'time()',
    'pi()',
  ]
  yield* [
    'timestamp(temp)',
    'timestamp(temp offset 2m)',
    'timestamp(temp + 1)',
    'timestamp(timestamp(temp))',
    'time() - timestamp(gappy)',
    'timestamp(temp @ end())',
  ]
  yield* [
    'sort(temp)',
    'sort_desc(temp)',
    'sort_by_label(temp, "room")',
    'sort_by_label_desc(temp, "floor", "room")',
    'sort(odd)',
    'sort_desc(odd)',
  ]
  yield `label_replace(temp, "r", "x-$1-$$", "room", "(.)(.*)")`
  yield `label_replace(temp, "r", "\${first}y", "room", "(?P<first>.).*")`
  yield `label_replace(temp, "r", "$1y", "room", "(.).*")`
  yield `label_replace(temp, "room", "", "room", ".*")`
  yield `label_replace(temp, "__name__", "new_$1", "room", "(.*)")`
  yield `label_replace(temp, "r", "z", "missing", "")`
  yield `label_replace(temp, "r", "z", "room", "nomatch")`
  yield `label_join(temp, "all", "-", "room", "floor", "missing")`
  yield `label_join(temp, "room", "")`
  for (const q of ['0', '0.1', '0.5', '0.95', '1', '1.2', '-0.5']) {
    yield `histogram_quantile(${q}, lat_bucket)`
    yield `histogram_quantile(${q}, rate(lat_bucket[5m]))`
    yield `histogram_quantile(${q}, sum by (le) (rate(lat_bucket[5m])))`
  }
  yield `histogram_quantile(0.5, temp)`
  yield `histogram_fraction(0, 0.2, lat_bucket)`
  yield `histogram_fraction(-1, 0.7, rate(lat_bucket[5m]))`
}

const windowsOfWindows = function* (): Generator<string> {
  for (const inner of [
    'temp',
    'rate(req_total[2m])',
    'sum by (room) (temp)',
    'temp > 18',
    'time()',
    'scalar(sum(temp))',
  ])
    for (const f of [
      'sum_over_time',
      'max_over_time',
      'count_over_time',
      'avg_over_time',
      'last_over_time',
    ]) {
      const vector = inner === 'time()' || inner.startsWith('scalar') ? `vector(${inner})` : inner
      yield `${f}((${vector})[7m:30s])`
      yield `${f}((${vector})[7m:])`
      yield `${f}((${vector})[5m:41s] offset 1m)`
    }
  yield 'max_over_time(deriv(temp[3m])[5m:20s])'
  yield 'min_over_time(avg_over_time(temp[2m:30s])[5m:1m])'
  yield 'rate(sum(req_total)[6m:20s])'
  yield 'sum_over_time(temp[5m:30s] @ end())'
  yield 'quantile_over_time(0.7, temp[6m:17s])'
}

const selectors = function* (): Generator<string> {
  yield* [
    'temp',
    'temp{room="a"}',
    'temp{room!="a"}',
    'temp{room=~"a|b"}',
    'temp{room!~"a|b"}',
    'temp{room=~".+",floor="1"}',
    'temp{missing=""}',
    'temp{room=~"[ab]"}',
  ]
  yield* [
    '{__name__="temp"}',
    '{__name__=~"te.*"}',
    'temp offset 4m',
    'temp offset -1m',
    'temp @ end()',
    'temp @ start()',
    'temp @ start() offset 2m',
    'gappy',
    'odd',
    'ended',
    'ended offset 5m',
    'nothing',
  ]
  yield* [
    'sum(temp @ end()) + temp',
    'temp - temp offset 1m',
    'temp / on(room, floor) group_left sum by (room, floor) (temp)',
    '1',
    '"text"',
    '0x1F',
    '1e3',
    '-Inf',
    '5m',
    '1h30m',
  ]
}

/** Every query, each once. Some are errors; then both sides must say so. */
export const queries = (): string[] => [
  ...new Set([
    ...selectors(),
    ...windows(),
    ...aggregations(),
    ...operators(),
    ...functions(),
    ...windowsOfWindows(),
  ]),
]
