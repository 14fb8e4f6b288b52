// Where a click leads: another dashboard at the same time range, or a page of Airboss's console.

export interface Link {
  readonly title: string
  readonly url: string
}

/** A page of the console; `path` begins with `/` and may hold Grafana's variables, such as `${__data.fields.TraceId}`. */
export const toConsole = (title: string, path: string): Link => ({ title, url: `\${console}${path}` })

/** Another dashboard of ours; `variables` such as `var-agent=${__field.labels.agent}`. */
export const toBoard = (title: string, uid: string, variables = ''): Link => ({
  title,
  url: `/d/${uid}?${variables === '' ? '' : `${variables}&`}\${__url_time_range}`,
})
