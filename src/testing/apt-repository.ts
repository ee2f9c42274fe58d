/** An apt repository made by code and served on this host, with every request counted. */
import { hash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runTool } from '../base/process.ts'
import { endServer, listen } from './listen.ts'

export interface RepositoryPackage {
  name: string
  version?: string
  depends?: string
}

export interface AptRepository extends AsyncDisposable {
  /** `http://127.0.0.1:12345/` */
  readonly url: string
  /** The public key it is signed by, as a key ring; undefined when it is not signed. */
  readonly key: Uint8Array | undefined
  /** Paths that were asked for. */
  readonly requests: string[]
}

/** A flat repository (suite `./`) for amd64. Needs dpkg-deb, and gpg to sign. */
export async function openAptRepository(
  packages: readonly RepositoryPackage[],
  { signed = false } = {},
): Promise<AptRepository> {
  const directory = await mkdtemp(join(tmpdir(), 'ingot-apt-'))
  const files = new Map<string, Uint8Array>()
  const stanzas: string[] = []
  for (const one of packages) {
    const control = `Package: ${one.name}\nVersion: ${one.version ?? '1.0'}\nArchitecture: amd64\nMaintainer: Nobody <nobody@example.org>\n${one.depends === undefined ? '' : `Depends: ${one.depends}\n`}Description: made for a test\n`
    const path = `${one.name}.deb`
    const content = await buildPackage(directory, control, one.name)
    files.set(path, content)
    const sums = `Filename: ./${path}\nSize: ${content.length}\nSHA256: ${hash('sha256', content)}\n`
    stanzas.push(`${control}${sums}`)
  }
  const index = Buffer.from(stanzas.join('\n'))
  files.set('Packages', index)
  const release = `Origin: Test\nSuite: test\nCodename: test\nArchitectures: amd64\nDate: ${new Date().toUTCString()}\nSHA256:\n ${hash('sha256', index)} ${index.length} Packages\n`
  let key: Uint8Array | undefined
  if (signed) {
    const made = await sign(directory, release)
    files.set('InRelease', made.text)
    key = made.key
  } else files.set('Release', Buffer.from(release))

  const requests: string[] = []
  const server = createServer((request, response) => {
    const path = (request.url ?? '').replace(/^\/(\.\/)?/, '')
    requests.push(path)
    const content = files.get(path)
    response.writeHead(content ? 200 : 404).end(content)
  })
  const url = await listen(server)
  return {
    url: `${url}/`,
    key,
    requests,
    [Symbol.asyncDispose]: async () => {
      await endServer(server)
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function buildPackage(directory: string, control: string, name: string): Promise<Uint8Array> {
  const tree = join(directory, name)
  await mkdir(join(tree, 'DEBIAN'), { recursive: true })
  await mkdir(join(tree, 'usr/share', name), { recursive: true })
  for (const part of ['', 'DEBIAN', 'usr', 'usr/share', join('usr/share', name)])
    await chmod(join(tree, part), 0o755) // whatever the umask; dpkg-deb insists
  await writeFile(join(tree, 'DEBIAN/control'), control)
  await writeFile(join(tree, 'usr/share', name, 'made'), `${name}\n`)
  const target = join(directory, `${name}.deb`)
  await runTool(['dpkg-deb', '--root-owner-group', '-Znone', '--build', tree, target])
  return await readFile(target)
}

/** Signs by a key made for this alone. */
async function sign(
  directory: string,
  text: string,
): Promise<{ text: Uint8Array; key: Uint8Array }> {
  const home = join(directory, 'gnupg')
  await mkdir(home, { mode: 0o700 })
  const gpg = ['gpg', '--homedir', home, '--batch', '--quiet', '--no-autostart']
  const start = gpg.filter((word) => word !== '--no-autostart')
  try {
    await runTool([
      ...start,
      '--passphrase',
      '',
      '--quick-generate-key',
      'Test <test@example.org>',
      'ed25519',
      'sign',
      'never',
    ])
    return {
      text: await runTool([...start, '--clearsign'], { input: text }),
      key: await runTool([...gpg, '--export']),
    }
  } finally {
    await runTool(['gpgconf', '--homedir', home, '--kill', 'all']).catch(() => undefined)
  }
}
