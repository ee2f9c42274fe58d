/** A web server on this host for tests of downloads: answers by path, and counts what was asked. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'

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
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
