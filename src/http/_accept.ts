/** A media type that a client takes, and how much it likes it. */
interface Liking {
  readonly type: string
  readonly quality: number
}

/** Longer headers are read up to here. */
const MAX_RANGES = 64

/**
 * The offer that an Accept header likes best, the earlier one if it likes two alike; undefined if it takes
 * none. Without a header anything is taken. Parameters other than `q` are not looked at.
 * Source: RFC 9110, section 12.5.1.
 */
export function chooseMediaType(
  accept: string | undefined,
  offers: readonly string[],
): string | undefined {
  const likings = parseAccept(accept ?? '*/*')
  let best: string | undefined
  let bestQuality = 0
  for (const offer of offers) {
    const quality = qualityOf(offer, likings)
    if (quality > bestQuality) [best, bestQuality] = [offer, quality]
  }
  return best
}

function parseAccept(header: string): Liking[] {
  return header
    .split(',', MAX_RANGES)
    .map((range) => {
      const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
      const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2)
      const quality = weight === undefined ? 1 : Number(weight)
      return { type, quality: quality >= 0 && quality <= 1 ? quality : 0 }
    })
    .filter(({ type }) => type !== '')
}

/** Of the most specific range that speaks of the type. */
function qualityOf(type: string, likings: readonly Liking[]): number {
  const family = `${type.slice(0, type.indexOf('/'))}/*`
  for (const range of [type, family, '*/*']) {
    const named = likings.filter((liking) => liking.type === range)
    if (named.length > 0) return Math.max(...named.map(({ quality }) => quality))
  }
  return 0
}
