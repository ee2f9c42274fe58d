/** A mirror of Debian packages on this host: what this host's own mirrors give, and no more than was asked for. */
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runTool } from '../base/process.ts'
import { openWebServer, type WebServer } from './web-server.ts'

const FETCH_MS = 10 * 60_000

/**
 * Serves, below `/debian`, an index (`Packages`) and the packages that a whole system with `packages` is made of,
 * and the `files` beside them. They are kept in `directory`. Needs apt-get and its mirrors.
 */
export async function openPackageMirror(
  directory: string,
  packages: readonly string[],
  files: Readonly<Record<string, Uint8Array>>,
): Promise<WebServer> {
  const [archives, lists] = [join(directory, 'archives'), join(directory, 'lists')]
  for (const path of [archives, lists]) await mkdir(join(path, 'partial'), { recursive: true })
  const settings = [
    `Dir::Cache=${directory}`,
    `Dir::Cache::archives=${archives}`,
    `Dir::State::lists=${lists}`,
    'Dir::State::status=/dev/null', // as if nothing were installed
    'APT::Sandbox::User=root', // apt's own user cannot come here
    'APT::Install-Recommends=false',
  ].flatMap((setting) => ['-o', setting])
  const apt = ['apt-get', '-q', '-y', ...settings]
  await runTool([...apt, 'update'], { timeoutMs: FETCH_MS })
  const wanted = ['?essential', '?priority(required)', ...packages]
  await runTool([...apt, '--download-only', 'install', ...wanted], { timeoutMs: FETCH_MS })

  const names = (await readdir(archives)).filter((name) => name.endsWith('.deb'))
  const stanzas = names.map(async (name) => {
    const control = await runTool(['dpkg-deb', '--field', join(archives, name)])
    return `${control.toString().trimEnd()}\nFilename: pool/${encodeURIComponent(name)}\n`
  })
  const index = (await Promise.all(stanzas)).join('\n')
  const pool = names.map((name) => [
    `/debian/pool/${encodeURIComponent(name)}`,
    (_: unknown, response: { end: (content: Uint8Array) => void }) =>
      void readFile(join(archives, name)).then((content) => response.end(content)),
  ])
  return await openWebServer({ '/debian/Packages': index, ...Object.fromEntries(pool), ...files })
}
