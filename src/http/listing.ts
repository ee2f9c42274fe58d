import { formatSize } from '../base/units.ts'

/** What a view server says about itself: at `/`, for people and for programs. */
export interface Listing {
  readonly name: string
  /** Bytes the guest sees, and how many of them may hold anything but zeros. */
  readonly virtualSize: number
  readonly dataSize: number
  readonly formats: readonly ListedFormat[]
}

export interface ListedFormat {
  readonly name: string
  readonly summary: string
  /** Path on this server. */
  readonly url: string
  /** `ready`; `on request`: made when it is first asked for; `impossible`: the disk does not fit. */
  readonly state: 'ready' | 'on request' | 'being made' | 'impossible'
  /** Bytes and tag, once they are known. */
  readonly length?: number
  readonly etag?: string
  /** Why it is impossible. */
  readonly reason?: string
}

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 52rem; margin: 3rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem; margin-bottom: 0 }
p { margin-top: .2rem; opacity: .75 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .45rem .8rem .45rem 0; border-bottom: 1px solid #8885 }
td:nth-child(3), th:nth-child(3) { text-align: right; font-variant-numeric: tabular-nums }
small { opacity: .75 }
`

/** As a page that needs nothing else: no script, no font, no picture. */
export function toPage({ name, virtualSize, dataSize, formats }: Listing): string {
  const rows = formats.map(({ name, summary, url, state, length, reason }) => {
    const label =
      state === 'impossible' ? escape(name) : `<a href="${escape(url)}">${escape(name)}</a>`
    const size = length === undefined ? escape(state) : formatSize(length)
    const why = reason === undefined ? '' : `<br><small>${escape(reason)}</small>`
    return `<tr><td>${label}</td><td>${escape(summary)}${why}</td><td>${size}</td></tr>`
  })
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escape(name)}</title><style>${STYLE}</style></head>
<body>
<h1>${escape(name)}</h1>
<p>A disk of ${formatSize(virtualSize)}, ${formatSize(dataSize)} of it data.</p>
<table>
<thead><tr><th scope="col">Format</th><th scope="col">What it is</th><th scope="col">Size</th></tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table>
</body>
</html>
`
}

function escape(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
  }
  return text.replaceAll(/[&<>"]/g, (char) => entities[char] ?? char)
}
