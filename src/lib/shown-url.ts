// An address as it may be shown: who calls, and by which password, is nobody's to read.

/** Without user and password, in whose place `mark` stands; what is no address stays as it is. */
export const shownURL = (text: string, mark = '<secret>'): string => {
  if (!URL.canParse(text)) return text
  const { username, password } = new URL(text)
  return username === '' && password === '' ? text : text.replace(/\/\/[^/?#]*@/, `//${mark}@`)
}
