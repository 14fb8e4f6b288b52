// A query of Grafana's ClickHouse data source, as its editor would have written it.
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog'
import type { DataSourceRef } from '@grafana/grafana-foundation-sdk/common'

/** The ClickHouse data source a reader chooses. */
export const clickhouse: DataSourceRef = { type: 'grafana-clickhouse-datasource', uid: '${clickhouse}' }

/** The plugin's names for what comes back, with the number its backend knows each by. */
const formats = { timeseries: 0, table: 1, logs: 2 } as const
export type SqlShape = keyof typeof formats

export const clickhouseQuery = (refId: string, sql: string, shape: SqlShape): Builder<Dataquery> => ({
  build: () =>
    ({
      refId,
      datasource: clickhouse,
      editorType: 'sql',
      queryType: shape,
      format: formats[shape],
      rawSql: sql,
      pluginVersion: '4.8.0',
    }) as unknown as Dataquery,
})
