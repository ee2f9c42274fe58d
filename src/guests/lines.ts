/** Edits of small configuration files, made so that a second edit finds nothing to do. */

/** Lines without their ends. A file that ends with a newline has no empty last line. */
export function toLines(text: string): string[] {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}

export function fromLines(lines: readonly string[]): string {
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`
}

/**
 * The text with `line` in it. Of the lines that match, the first becomes `line` and the others go;
 * if there is neither such a line nor `line` itself, it is put where `place` says, by default last.
 */
export function setLine(
  text: string,
  line: string,
  matches: (line: string) => boolean = () => false,
  place: (lines: readonly string[]) => number = (lines) => lines.length,
): string {
  const lines = toLines(text)
  const old = lines.findIndex((one) => one === line || matches(one))
  if (old < 0) return fromLines(lines.toSpliced(place(lines), 0, line))
  const kept = lines.flatMap((one, index) =>
    index === old ? [line] : matches(one) && one !== line ? [] : [one],
  )
  return kept.join('\n') === lines.join('\n') ? text : fromLines(kept)
}

/** The text without the lines that match. */
export function dropLines(text: string, matches: (line: string) => boolean): string {
  const lines = toLines(text)
  const kept = lines.filter((one) => !matches(one))
  return kept.length === lines.length ? text : fromLines(kept)
}

/** A variable of a file that is a list of shell assignments: the last one wins, quotes are taken off. */
export function readAssignment(text: string, name: string): string | undefined {
  const pattern = new RegExp(`^\\s*(?:export\\s+)?${RegExp.escape(name)}=(.*)$`)
  const found = toLines(text).findLast((line) => pattern.test(line))
  const value = found === undefined ? undefined : pattern.exec(found)?.[1]?.trim()
  if (value === undefined) return undefined
  const quoted = /^(["'])(.*?)\1/.exec(value)
  return quoted ? quoted[2] : value.replace(/\s#.*$/, '')
}

/** The text with the variable set to the value; the value has no `"`, `\`, `$`, backquote nor newline. */
export function setAssignment(text: string, name: string, value: string): string {
  const pattern = new RegExp(`^\\s*(?:export\\s+)?${RegExp.escape(name)}=`)
  const word = /^[A-Za-z0-9_./:@+-]*$/.test(value) ? value : `"${value}"`
  return setLine(text, `${name}=${word}`, (line) => pattern.test(line))
}
