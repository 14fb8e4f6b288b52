// What the front must know of output formats: content types, and which may be sent piece by piece as the engine makes them.

const types: Record<string, string> = {
  JSON: 'application/json; charset=UTF-8',
  JSONCompact: 'application/json; charset=UTF-8',
  JSONStrings: 'application/json; charset=UTF-8',
  JSONCompactStrings: 'application/json; charset=UTF-8',
  JSONColumns: 'application/json; charset=UTF-8',
  JSONColumnsWithMetadata: 'application/json; charset=UTF-8',
  JSONObjectEachRow: 'application/json; charset=UTF-8',
  XML: 'application/xml; charset=UTF-8',
  CSV: 'text/csv; charset=UTF-8; header=absent',
  CSVWithNames: 'text/csv; charset=UTF-8; header=present',
  CSVWithNamesAndTypes: 'text/csv; charset=UTF-8; header=present',
  Parquet: 'application/octet-stream',
  Arrow: 'application/octet-stream',
  ArrowStream: 'application/octet-stream',
  Native: 'application/octet-stream',
  RowBinary: 'application/octet-stream',
  RowBinaryWithNames: 'application/octet-stream',
  RowBinaryWithNamesAndTypes: 'application/octet-stream',
}

/** The Content-Type a ClickHouse server gives for a format. */
export const contentType = (format: string): string => {
  const known = types[format]
  if (known) return known
  if (/EachRow/.test(format)) return 'application/x-ndjson; charset=UTF-8'
  if (/^(TabSeparated|TSV)/.test(format)) return 'text/tab-separated-values; charset=UTF-8'
  return 'text/plain; charset=UTF-8'
}

/** Length of the header in the first piece, which every further piece repeats; 0 where pieces have none. */
type Header = (piece: Buffer) => number

const lines =
  (n: number): Header =>
  (piece) => {
    let at = 0
    for (let i = 0; i < n; i++) at = piece.indexOf(10, at) + 1
    return at
  }

// Names may hold line breaks inside their quotes.
const csvLines =
  (n: number): Header =>
  (piece) => {
    let quoted = false
    let seen = 0
    for (let i = 0; i < piece.length; i++) {
      if (piece[i] === 34) quoted = !quoted
      else if (piece[i] === 10 && !quoted && ++seen === n) return i + 1
    }
    return piece.length
  }

const varint = (piece: Buffer, from: number): [number, number] => {
  let value = 0
  let shift = 1
  let at = from
  for (;;) {
    const byte = piece[at++]!
    value += (byte & 127) * shift
    if (byte < 128) return [value, at]
    shift *= 128
  }
}

const binaryNames =
  (rounds: number): Header =>
  (piece) => {
    let [columns, at] = varint(piece, 0)
    columns *= rounds
    for (let i = 0; i < columns; i++) {
      const [length, next] = varint(piece, at)
      at = next + length
    }
    return at
  }

const none: Header = () => 0
const streamed = new Map<string, Header>([
  ['Native', none],
  ['RowBinary', none],
  ['TabSeparated', none],
  ['TSV', none],
  ['TabSeparatedRaw', none],
  ['TSVRaw', none],
  ['CSV', none],
  ['JSONEachRow', none],
  ['NDJSON', none],
  ['JSONLines', none],
  ['JSONStringsEachRow', none],
  ['JSONCompactEachRow', none],
  ['JSONCompactStringsEachRow', none],
  ['LineAsString', none],
  ['TSKV', none],
  ['TabSeparatedWithNames', lines(1)],
  ['TSVWithNames', lines(1)],
  ['TabSeparatedWithNamesAndTypes', lines(2)],
  ['TSVWithNamesAndTypes', lines(2)],
  ['JSONCompactEachRowWithNames', lines(1)],
  ['JSONCompactEachRowWithNamesAndTypes', lines(2)],
  ['JSONCompactStringsEachRowWithNames', lines(1)],
  ['JSONCompactStringsEachRowWithNamesAndTypes', lines(2)],
  ['CSVWithNames', csvLines(1)],
  ['CSVWithNamesAndTypes', csvLines(2)],
  ['RowBinaryWithNames', binaryNames(1)],
  ['RowBinaryWithNamesAndTypes', binaryNames(2)],
])

/**
 * How to join the engine's pieces of a format, each of which is a whole document of its own; undefined when they cannot be joined (JSON with its
 * totals, Arrow with its footer): such answers are made whole first.
 */
export const headerOf = (format: string): Header | undefined => streamed.get(format)
