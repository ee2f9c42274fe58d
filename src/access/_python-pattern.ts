/**
 * A pattern that an operator wrote for Python's `re`, where it differs from ours in what such files use: flags at
 * the beginning, `\A` and `\Z`, named groups. Throws SyntaxError on what would mean something else here.
 */
export function parsePattern(text: string): RegExp {
  const [, letters = '', body = text] = /^\(\?([aimsux]+)\)([^]*)$/.exec(text) ?? []
  if (letters.includes('x')) throw new SyntaxError('the flag x is not known here')
  const flags = ['i', 'm', 's'].filter((flag) => letters.includes(flag)).join('')
  return new RegExp(translate(body), flags)
}

/** Escapes that Python knows, and that would be plain letters or something else here. */
const NOT_OURS = /^\\[aAZUN]$/

function translate(body: string): string {
  return body.replaceAll(/\\[^]|\(\?P<|\(\?P=(\w+)\)|\(\?[P#(]/g, (piece, name?: string) => {
    if (piece === '\\A') return '^'
    if (piece === '\\Z') return '$'
    if (piece === '(?P<') return '(?<'
    if (name !== undefined) return `\\k<${name}>`
    if (piece.startsWith('(') || NOT_OURS.test(piece))
      throw new SyntaxError(`${piece} is not known here`)
    return piece
  })
}
