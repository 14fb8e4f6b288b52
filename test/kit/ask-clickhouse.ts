// Questions to the product's read-only ClickHouse, answered as rows.

/** Throws what ClickHouse says when it cannot answer. */
export const askClickHouse = async <Row extends object = Record<string, unknown>>(
  product: { readonly clickhouse: string },
  sql: string,
): Promise<Row[]> => {
  const answer = await fetch(`${product.clickhouse}/?database=airboss`, {
    method: 'POST',
    body: `${sql} FORMAT JSON`,
  })
  const said = await answer.text()
  if (!answer.ok) throw new Error(said)
  return (JSON.parse(said) as { data: Row[] }).data
}
