import type { IncomingHttpHeaders } from 'node:http'

/**
 * What a request's conditions say about content with this strong entity tag: do as asked, say that it
 * is unchanged, or that it is not what was expected. There are no conditions on times: the content
 * never changes, so it has none.
 * Source: RFC 9110, section 13.2.2.
 */
export function checkConditions(
  headers: IncomingHttpHeaders,
  etag: string,
): 'go on' | 'unchanged' | 'not as expected' {
  const { 'if-match': match, 'if-none-match': noneMatch } = headers
  if (match !== undefined && !lists(match, etag, 'strong')) return 'not as expected'
  if (noneMatch !== undefined && lists(noneMatch, etag, 'weak')) return 'unchanged'
  return 'go on'
}

/** Whether a Range may be answered with a part: what the client has of it is of the same content. */
export function isSameContent(headers: IncomingHttpHeaders, etag: string): boolean {
  const ifRange = headers['if-range']
  return ifRange === undefined || ifRange === etag
}

/** Tags are quoted and hold no quotes, so a comma between two of them is no part of one. */
function lists(header: string | string[], etag: string, comparison: 'strong' | 'weak'): boolean {
  const text = Array.isArray(header) ? header.join(',') : header
  if (text.trim() === '*') return true
  const tags = text.match(/(?:W\/)?"[^"]*"/g) ?? []
  return tags.some((tag) => tag === etag || (comparison === 'weak' && tag === `W/${etag}`))
}
