import assert from 'node:assert/strict'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { runTool } from '../../base/process.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { layBootstrapFiles } from './_bootstrap-hooks.ts'
import { toDiskIdentity } from './disk-identity.ts'
import type { OsJob } from './tree-builder.ts'

const at = await tempDir()
const base = { distro: 'debian', release: 'bookworm' } as const
const guestKeyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

async function lay(name: string, keys: string, uri = 'http://m.example/debian') {
  const scratch = at(name)
  await mkdir(join(scratch, 'cached'), { recursive: true })
  await writeFile(join(scratch, 'cached', 'one_1_all.deb'), 'a package')
  const source = { uris: [uri], suites: ['bookworm'], components: ['main'], signedBy: keys }
  const job: OsJob = {
    scratch,
    identity: toDiskIdentity('test'),
    fileSystem: 'ext4',
    root: '',
    cacheDir: '',
    launcher: [],
    proxies: {},
  }
  const chosen = { sources: [source], keys, guestKeyring }
  const files = await layBootstrapFiles(base, chosen, join(scratch, 'cached'), job)
  const inGuest = await readFile(
    join(scratch, 'after/etc/apt/sources.list.d/debian.sources'),
    'utf8',
  )
  return { ...files, scratch, ours: await readFile(files.sources, 'utf8'), inGuest }
}

describe('what mmdebstrap calls', () => {
  it('brings files and packages in before, and takes our sources and name server out after', async () => {
    const { setupHook, customizeHook } = await lay('hooks', guestKeyring)
    const tree = at('tree')
    await mkdir(join(tree, 'etc/apt/sources.list.d'), { recursive: true })
    await mkdir(join(tree, 'var/lib/apt/lists'), { recursive: true })
    await writeFile(join(tree, 'etc/apt/sources.list.d/0000debian.sources'), 'ours')
    await writeFile(join(tree, 'etc/resolv.conf'), 'nameserver 10.0.0.1')
    await runTool([setupHook, tree])
    assert.match(await readFile(join(tree, 'etc/fstab'), 'utf8'), /^UUID=.* \/ ext4 /)
    assert.equal((await stat(join(tree, 'etc/fstab'))).mode & 0o777, 0o644)
    assert.equal(
      await readFile(join(tree, 'var/cache/apt/archives/one_1_all.deb'), 'utf8'),
      'a package',
    )
    await runTool([customizeHook, tree])
    const sources = (await runTool(['ls', join(tree, 'etc/apt/sources.list.d')])).toString()
    assert.equal(sources, 'debian.sources\n')
    await assert.rejects(stat(join(tree, 'etc/resolv.conf')), { code: 'ENOENT' })
  })

  it('leaves the password of a mirror on this host', async () => {
    const { ours, inGuest } = await lay(
      'password',
      guestKeyring,
      'http://me:secret@m.example/debian',
    )
    assert.match(ours, /me:secret@m\.example/)
    assert.match(inGuest, /URIs: http:\/\/m\.example\/debian/)
  })

  it("lets the guest trust the distribution's own keys, or brings those of another archive in", async () => {
    const own = await lay('own', '/usr/share/keyrings/debian-archive-bookworm-stable.gpg')
    assert.ok(own.inGuest.includes(`Signed-By: ${guestKeyring}`))
    const keyring = at('private.gpg')
    await writeFile(keyring, 'keys')
    const other = await lay('other', keyring)
    assert.ok(other.ours.includes(`Signed-By: ${keyring}`))
    assert.match(other.inGuest, /Signed-By: \/etc\/apt\/keyrings\/private\.gpg/)
    const brought = join(other.scratch, 'after/etc/apt/keyrings/private.gpg')
    assert.equal(await readFile(brought, 'utf8'), 'keys')
    const armoured = await lay('armoured', '-----BEGIN PGP PUBLIC KEY BLOCK-----\n')
    assert.match(armoured.inGuest, /Signed-By: \/etc\/apt\/keyrings\/archive\.asc/)
  })
})
