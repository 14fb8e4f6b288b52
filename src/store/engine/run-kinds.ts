// Which statements only read.

const reading = new Set(['SELECT', 'WITH', 'SHOW', 'DESCRIBE', 'DESC', 'EXISTS', 'EXPLAIN', 'CHECK', 'FROM'])

/** Whether a statement that begins with `verb` only reads. */
export const isReading = (verb: string): boolean => reading.has(verb)
