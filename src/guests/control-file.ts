/**
 * Stanzas of a control file, keys in lower case. Lines that continue a field are joined by newlines.
 * Source: deb822(5).
 */
export function parseControl(text: string): ReadonlyMap<string, string>[] {
  const stanzas: Map<string, string>[] = []
  let stanza = new Map<string, string>()
  let field = ''
  for (const line of text.split('\n')) {
    if (line.trim() === '') {
      if (stanza.size > 0) stanzas.push(stanza)
      stanza = new Map()
      field = ''
    } else if (line.startsWith(' ') || line.startsWith('\t')) {
      if (field !== '') stanza.set(field, `${stanza.get(field)}\n${line.slice(1)}`)
    } else if (!line.startsWith('#')) {
      const colon = line.indexOf(':')
      field = colon > 0 ? line.slice(0, colon).toLowerCase() : ''
      if (field !== '') stanza.set(field, line.slice(colon + 1).trim())
    }
  }
  return stanza.size > 0 ? [...stanzas, stanza] : stanzas
}
