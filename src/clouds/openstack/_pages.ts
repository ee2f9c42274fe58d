import { type Answered, ask, type Asking, type Question } from './_ask.ts'
import { asWire, listOf, textOr, type Wire } from './_fields.ts'

/** Nobody looks through more, and a service whose pages never end must not keep us. */
const MOST = 20_000

/**
 * All of a list: a service that gives it in pages names the next one by a link beside it.
 * Source: "Paginated collections" of the Compute, Networking and Block Storage API references.
 */
export async function askPages(
  asking: Asking,
  question: Question,
  key: string,
): Promise<readonly Wire[]> {
  const all: Wire[] = []
  for (let next: Question | undefined = question; next !== undefined && all.length < MOST;) {
    const answer: Answered = await ask(asking, next)
    const json = asWire(answer.json, key)
    const page = listOf(json[key], key)
    all.push(...page)
    const query = page.length === 0 ? undefined : nextQuery(json[`${key}_links`])
    next = query && { ...question, query }
  }
  return all
}

/** Only its question counts: services behind proxies do not know their own address. */
function nextQuery(links: unknown): Question['query'] {
  if (links === undefined) return undefined
  const link = listOf(links, 'links').find((one) => one['rel'] === 'next')
  const href = link && textOr(link, 'href', undefined)
  if (href === undefined) return undefined
  const { searchParams } = new URL(href, 'http://service')
  const names = new Set(searchParams.keys())
  return Object.fromEntries([...names].map((name) => [name, searchParams.getAll(name)]))
}
