const MAX_MESSAGE = 500

/**
 * The words of an error body: `{"badRequest": {"message": …}}`, `{"NeutronError": {"message": …}}`,
 * `{"message": …}`, `{"errors": [{"message": …}]}`, or a page. One line, bounded.
 */
export function messageIn(text: string): string {
  let said: string
  try {
    said = findMessage(JSON.parse(text), 3) ?? ''
  } catch {
    said = text.replaceAll(/<title>.*?<\/title>|<[^>]*>/gs, ' ')
  }
  return toLine(said)
}

/** In one line, without control characters, bounded. */
export function toLine(said: string): string {
  return said
    .replaceAll(/[\s\p{Cc}]+/gu, ' ')
    .trim()
    .slice(0, MAX_MESSAGE)
}

function findMessage(value: unknown, depth: number): string | undefined {
  if (typeof value !== 'object' || value === null || depth === 0) return undefined
  const { message } = value as { message?: unknown }
  if (typeof message === 'string') return message
  for (const inner of Object.values(value)) {
    const found = findMessage(inner, depth - 1)
    if (found !== undefined) return found
  }
  return undefined
}
