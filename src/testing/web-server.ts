/** A web server on this host for tests of downloads: answers by path, and counts what was asked. */
import { createServer, type RequestListener } from 'node:http'
import { endServer, listen } from './listen.ts'

export interface WebServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string
  /** Paths that were asked for, in order. */
  readonly asked: readonly string[]
}

/** Content by path, or a function that answers. Everything else is 404. */
export async function openWebServer(
  pages: Readonly<Record<string, string | Uint8Array | RequestListener>>,
): Promise<WebServer> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    const page = pages[path]
    if (typeof page === 'function') page(request, response)
    else if (page === undefined) response.writeHead(404).end()
    else response.end(page)
  })
  const url = await listen(server)
  return {
    url,
    asked,
    [Symbol.asyncDispose]: () => endServer(server),
  }
}

/** How a page that breaks behaves. */
export interface Flaws {
  /** Bytes that each connection brings before it is cut, in order; the last ones bring all. */
  readonly cuts?: readonly number[]
  /** Whether parts can be asked for. Default true. */
  readonly ranges?: boolean
  /** Of the content at each connection; the last one stays. Default `"1"`; undefined: none. */
  readonly etags?: readonly (string | undefined)[]
  /** The content at each connection, if it changes. */
  readonly contents?: readonly Uint8Array[]
  /** Statuses that the first connections answer with instead. */
  readonly refusals?: readonly number[]
  /** Says nothing of the length. */
  readonly chunked?: boolean
}

/** A page over connections that break. `heard` are the ranges that were asked for. */
export function flawedPage(
  bytes: Uint8Array,
  { cuts = [], ranges = true, etags = ['"1"'], contents = [bytes], ...flaws }: Flaws,
): RequestListener & { readonly heard: readonly (string | undefined)[] } {
  const heard: (string | undefined)[] = []
  let connection = -1
  const listener: RequestListener = ({ headers }, response) => {
    connection += 1
    heard.push(headers.range)
    const refusal = flaws.refusals?.[connection]
    if (refusal !== undefined) {
      response.writeHead(refusal).end()
      return
    }
    const content = contents[connection] ?? contents.at(-1) ?? bytes
    const etag = connection < etags.length ? etags[connection] : etags.at(-1)
    const isPart = ranges && headers.range !== undefined && headers['if-range'] === etag
    const start = isPart ? Number(/\d+/.exec(headers.range ?? '')?.[0]) : 0
    const cut = cuts[connection]
    response.writeHead(isPart ? 206 : 200, {
      ...(etag !== undefined && { etag }),
      ...(!flaws.chunked && { 'content-length': content.length - start }),
      ...(isPart && {
        'content-range': `bytes ${start}-${content.length - 1}/${content.length}`,
      }),
    })
    if (cut === undefined) {
      response.end(content.subarray(start))
      return
    }
    response.write(content.subarray(start, start + cut), () => response.destroy())
  }
  return Object.assign(listener, { heard })
}
