// What may be asked through the read-only view: statements, functions, system tables and settings.
import { isReading } from './engine/run-kinds.ts'
import { parseStatement, type Read } from './engine/statement.ts'
import { isWord, SqlError, type Token, unquote } from './engine/tokens.ts'

/** Functions that reach outside the tables: files, other hosts, other programs, other databases. */
const outside = new Set(
  (
    'arrowflight azureblobstorage azureblobstoragecluster cluster clusterallreplicas cosn deltalake deltalakeazure ' +
    'deltalakecluster deltalakelocal deltalakes3 dictionary executable file filecluster filesystem fuzzquery gcs hdfs hdfscluster hudi ' +
    'hudicluster iceberg icebergazure icebergcluster iceberghdfs iceberglocal icebergs3 input jdbc loop merge mergetreeindex ' +
    'mergetreeprojection mongodb mysql odbc oss paimon postgresql prometheusquery prometheusqueryrange python redis remote remotesecure s3 ' +
    's3cluster sqlite timeseriesdata timeseriesmetrics timeseriestags timeseriesselector url urlcluster ytsaurus arrowstream ' +
    'catboostevaluate getmergetreesetting flamegraph addresstoline addresstosymbol demangle'
  ).split(' '),
)

/** System tables that clients need to show databases, tables, columns and functions. */
const systemTables = new Set(
  (
    'one numbers numbers_mt zeros zeros_mt tables columns databases functions data_type_families formats settings build_options ' +
    'table_functions table_engines aggregate_function_combinators keywords parts parts_columns time_zones data_skipping_indices'
  ).split(' '),
)

/** Settings a client may give; everything else is fixed. */
const free =
  /^(output_format_|format_|date_time_|bool_|joined_|join_use_nulls$|extremes$|session_timezone$|result_overflow_mode$|timeout_overflow_mode$|max_block_size$|max_result_rows$|max_rows_to_read$|final$|log_comment$|prefer_column_name_to_alias$|max_query_size$|allow_experimental_analyzer$|enable_analyzer$)/

const denied = (message: string): SqlError => new SqlError(497, `${message}. (ACCESS_DENIED)`)
const readOnly = (message: string): SqlError => new SqlError(164, `${message}. (READONLY)`)

const plain = (token: Token): string =>
  (token.kind === 'name' ? unquote(token.text) : token.text).toLowerCase()
const named = (token: Token | undefined): token is Token => token?.kind === 'word' || token?.kind === 'name'

const checkNames = ({ tokens }: Read): void => {
  tokens.forEach((token, i) => {
    if (!named(token)) return
    const text = plain(token)
    const next = tokens[i + 1]
    if (next?.text === '(' && outside.has(text.replaceAll('_', '')))
      throw denied(`Function ${text} is not available on the read-only view`)
    if (text !== 'system' || next?.text !== '.') return
    const table = tokens[i + 2]
    if (!named(table) || !systemTables.has(plain(table)))
      throw denied(`Table system.${table ? plain(table) : ''} is not available on the read-only view`)
  })
}

const checkIdentifiers = ({ tokens }: Read, params: ReadonlyMap<string, string>): void => {
  tokens.forEach((token, i) => {
    if (!isWord(token, 'IDENTIFIER') || tokens[i - 1]?.text !== ':') return
    const value = params.get(tokens[i - 2]?.text ?? '') ?? ''
    if (!/^\w+$/.test(value) || /^(system|information_schema)$/i.test(value))
      throw denied(
        `Identifier ${JSON.stringify(value)} may not be given as a parameter on the read-only view`,
      )
  })
}

/** The statement when it may run; throws SqlError as a server with a read-only user does. */
export const checkedStatement = (sql: string, params: ReadonlyMap<string, string>): Read => {
  const statement = parseStatement(sql)
  if (statement.kind === 'insert' || !isReading(statement.verb) || statement.verb === 'CHECK')
    throw readOnly(
      `Cannot execute query in readonly mode: ${statement.verb} changes something or is unknown here`,
    )
  if (statement.ownSettings.size > 0)
    throw readOnly(
      `Cannot modify '${[...statement.ownSettings][0]}' setting in readonly mode; give settings as URL parameters`,
    )
  if (statement.verb === 'SHOW' && statement.tokens.some((t) => isWord(t, 'PROCESSLIST')))
    throw denied('SHOW PROCESSLIST is not available on the read-only view')
  checkNames(statement)
  checkIdentifiers(statement, params)
  return statement
}

/** Whether a client may give this setting. */
export const isFreeSetting = (name: string): boolean => free.test(name)
