/** Files: what every remote reads alike, and what those that write must keep. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { MiB } from '../base/units.ts'
import { AWKWARD_NAMES, contractTree, noise } from './contract-tree.ts'
import { failsWith } from './fails-with.ts'
import type { Subject } from './remote-contract.ts'

export function describeReading(subject: Subject): void {
  const { bytesOf, same } = readers(subject)

  describe('reading files', () => {
    it('reads every file of the tree whole: binary, empty, large, with awkward names', async () => {
      for (const entry of contractTree(subject.base))
        if (entry.type === 'file') same(await bytesOf(entry.name), entry.content, entry.name)
    })

    it('tells type, mode, owner, group, size and target of everything, links not followed', async () => {
      for (const entry of contractTree(subject.base)) {
        const found = await subject.remote.stat(subject.at(entry.name))
        assert.ok(found, entry.name)
        assert.equal(found.type, entry.type, entry.name)
        assert.deepEqual([found.uid, found.gid], [entry.uid, entry.gid], entry.name)
        if (entry.type === 'link') assert.equal(found.target, entry.target)
        else assert.equal(found.mode.toString(8), entry.mode.toString(8), entry.name)
        if (entry.type === 'file') assert.equal(found.size, entry.content.length, entry.name)
        assert.ok(Number.isSafeInteger(found.mtime) && found.mtime > 0, `mtime ${found.mtime}`)
      }
      assert.equal((await subject.remote.stat('/dev'))?.type, 'directory')
    })

    it('lists a directory sorted, without . and .., whatever the names', async () => {
      const names = contractTree(subject.base).map((entry) => entry.name)
      const top = names.filter((name) => !name.includes('/'))
      assert.deepEqual(await subject.remote.list(subject.base), top.sort())
      assert.deepEqual(await subject.remote.list(subject.at('directory')), ['B', 'a', 'inner'])
    })

    it('follows links: relative, absolute, chained, in the middle of a path', async () => {
      for (const name of ['link', 'absolute-link', 'chain'])
        same(await bytesOf(name), Buffer.from('plain text\n'), name)
      same(await bytesOf('directory-link/inner'), Buffer.from('inner\n'))
      assert.equal((await subject.remote.stat(subject.at('directory-link/inner')))?.type, 'file')
      assert.deepEqual(await subject.remote.list(subject.at('directory-link')), ['B', 'a', 'inner'])
    })

    it('follows links inside the guest only, however far up they point', async () => {
      const own = await subject.remote.readText('/etc/os-release')
      assert.ok(own !== undefined)
      assert.equal(await subject.remote.readText(subject.at('far-up')), own)
      assert.equal(await subject.remote.readText(subject.at('etc-link/os-release')), own)
      if (subject.remote.place === 'image') {
        const host = await readFile('/etc/passwd', 'utf8')
        assert.notEqual(await subject.remote.readText(subject.at('etc-link/passwd')), host)
      }
    })

    it('answers undefined for what is not there', async () => {
      const { remote, at } = subject
      for (const name of [
        'nothing',
        'nothing/below',
        'plain/below',
        'dangling',
        'loop',
        'directory',
      ])
        assert.equal(await remote.readFile(at(name)), undefined, name)
      for (const name of ['nothing', 'nothing/below', 'plain/below'])
        assert.equal(await remote.stat(at(name)), undefined, name)
      for (const name of ['nothing', 'nothing/below', 'plain', 'dangling'])
        assert.equal(await remote.list(at(name)), undefined, name)
    })

    it('knows what exists, links followed', async () => {
      const { remote, at } = subject
      for (const name of ['plain', 'directory', 'chain', 'directory-link', 'directory-link/inner'])
        assert.equal(await remote.exists(at(name)), true, name)
      for (const name of ['nothing', 'dangling', 'loop', 'plain/below'])
        assert.equal(await remote.exists(at(name)), false, name)
    })

    it('refuses a file larger than the limit, and takes one that just fits', async () => {
      const { remote, at } = subject
      assert.equal((await remote.readFile(at('plain'), 11))?.length, 11)
      await assert.rejects(remote.readFile(at('plain'), 10), failsWith('REMOTE_CANNOT'))
      await assert.rejects(remote.readFile(at('large'), MiB), failsWith('REMOTE_CANNOT'))
    })

    it('takes .. in a path for what it means and nothing more', async () => {
      const { remote, at } = subject
      assert.equal(await remote.readText(at('directory/../plain')), 'plain text\n')
      const own = await remote.readText('/etc/os-release')
      assert.equal(await remote.readText(`/${'../'.repeat(40)}etc/os-release`), own)
    })

    it('refuses a path that is not absolute or holds a NUL byte', async () => {
      for (const path of ['etc/os-release', '', '/etc/os-release\0'])
        await assert.rejects(subject.remote.readFile(path), failsWith('REMOTE_CANNOT'), path)
    })
  })
}

export function describeWriting(subject: Subject): void {
  const { bytesOf, same } = readers(subject)
  /** A directory of its own for one case, gone afterwards. */
  const inside = async (work: (at: (name: string) => string) => Promise<void>) => {
    await subject.remote.makeDirectory(subject.at('case'))
    await work((name) => subject.at(`case/${name}`))
    await subject.remote.remove(subject.at('case'))
  }

  describe('writing files', () => {
    it('writes 0644 and root unless told otherwise, and makes missing directories 0755', () =>
      inside(async (at) => {
        await subject.remote.writeFile(at('a/b/c/file'), 'text')
        const found = await subject.remote.stat(at('a/b/c/file'))
        assert.deepEqual([found?.mode, found?.uid, found?.gid, found?.size], [0o644, 0, 0, 4])
        for (const name of ['a', 'a/b', 'a/b/c'])
          assert.equal((await subject.remote.stat(at(name)))?.mode, 0o755, name)
      }))

    it('replaces content, mode and owner of a file that is there, and leaves nothing beside it', () =>
      inside(async (at) => {
        await subject.remote.writeFile(at('file'), 'old content', { mode: 0o600, uid: 7, gid: 8 })
        await subject.remote.writeFile(at('file'), 'new', { mode: 0o755, uid: 12, gid: 34 })
        assert.equal(await subject.remote.readText(at('file')), 'new')
        const found = await subject.remote.stat(at('file'))
        assert.deepEqual([found?.mode, found?.uid, found?.gid], [0o755, 12, 34])
        assert.deepEqual(await subject.remote.list(subject.at('case')), ['file'])
      }))

    it('replaces a link, and not the file it points to', () =>
      inside(async (at) => {
        await subject.remote.writeFile(at('target'), 'kept')
        await subject.remote.makeLink(at('file'), 'target')
        await subject.remote.writeFile(at('file'), 'new')
        assert.equal((await subject.remote.stat(at('file')))?.type, 'file')
        assert.equal(await subject.remote.readText(at('target')), 'kept')
      }))

    it('replaces a file whole: who holds the old one open keeps reading the old one', () =>
      inside(async (at) => {
        await subject.remote.writeFile(at('file'), 'old')
        if (!subject.remote.can.run) return
        await subject.remote.runOk({ argv: ['ln', at('file'), at('same')] })
        await subject.remote.writeFile(at('file'), 'new')
        assert.equal(await subject.remote.readText(at('same')), 'old')
      }))

    it('refuses to put a file where a directory is, and leaves nothing beside it', () =>
      inside(async (at) => {
        await subject.remote.makeDirectory(at('directory'))
        await assert.rejects(subject.remote.writeFile(at('directory'), 'x'), failsWith())
        assert.deepEqual(await subject.remote.list(subject.at('case')), ['directory'])
        assert.deepEqual(await subject.remote.list(at('directory')), [])
      }))

    it('writes through a linked directory', () =>
      inside(async (at) => {
        await subject.remote.makeDirectory(at('real'))
        await subject.remote.makeLink(at('linked'), subject.at('case/real'))
        await subject.remote.writeFile(at('linked/file'), 'x')
        assert.equal(await subject.remote.readText(at('real/file')), 'x')
      }))

    it('keeps bytes whole on the way there and back', () =>
      inside(async (at) => {
        for (const size of [0, 1, 2, 3, 4095, 4096, 65_537]) {
          await subject.remote.writeFile(at('file'), noise(size))
          same(await bytesOf('case/file'), noise(size), `${size} bytes`)
        }
      }))

    it('makes directories with their parents, and does not mind one that is there', () =>
      inside(async (at) => {
        await subject.remote.makeDirectory(at('-p/two words/x'))
        await subject.remote.setAttributes(at('-p'), { mode: 0o700 })
        await subject.remote.makeDirectory(at('-p/two words/x'))
        assert.equal((await subject.remote.stat(at('-p/two words/x')))?.type, 'directory')
        assert.equal((await subject.remote.stat(at('-p')))?.mode, 0o700)
        await subject.remote.writeFile(at('file'), '')
        await assert.rejects(subject.remote.makeDirectory(at('file')), failsWith())
      }))

    it('sets mode, owner and group each by itself', () =>
      inside(async (at) => {
        await subject.remote.writeFile(at('file'), 'x')
        const seen = async () => {
          const found = await subject.remote.stat(at('file'))
          return [found?.mode, found?.uid, found?.gid]
        }
        await subject.remote.setAttributes(at('file'), { uid: 5 })
        assert.deepEqual(await seen(), [0o644, 5, 0])
        await subject.remote.setAttributes(at('file'), { gid: 6 })
        assert.deepEqual(await seen(), [0o644, 5, 6])
        await subject.remote.setAttributes(at('file'), { mode: 0o2751 })
        assert.deepEqual(await seen(), [0o2751, 5, 6])
        await subject.remote.setAttributes(at('file'), { mode: 0o4755, uid: 0, gid: 0 })
        assert.deepEqual(await seen(), [0o4755, 0, 0])
        await assert.rejects(
          subject.remote.setAttributes(at('nothing'), { mode: 0o600 }),
          failsWith(),
        )
      }))

    it('makes links as written and replaces a link or a file that is there', () =>
      inside(async (at) => {
        await subject.remote.makeLink(at('link'), '-dash $(id) nowhere')
        assert.equal((await subject.remote.stat(at('link')))?.target, '-dash $(id) nowhere')
        await subject.remote.makeDirectory(at('directory'))
        await subject.remote.makeLink(at('link'), 'directory')
        await subject.remote.makeLink(at('link'), 'again')
        assert.equal((await subject.remote.stat(at('link')))?.target, 'again')
        assert.deepEqual(await subject.remote.list(at('directory')), [])
        await subject.remote.writeFile(at('file'), 'x')
        await subject.remote.makeLink(at('file'), 'directory')
        assert.equal((await subject.remote.stat(at('file')))?.type, 'link')
      }))

    it('removes a tree whole, a link alone, and does not mind what is not there', () =>
      inside(async (at) => {
        for (const name of AWKWARD_NAMES) await subject.remote.writeFile(at(`tree/${name}`), 'x')
        await subject.remote.makeDirectory(at('kept'))
        await subject.remote.writeFile(at('kept/file'), 'x')
        await subject.remote.makeLink(at('tree/link'), subject.at('case/kept'))
        await subject.remote.makeLink(at('link'), 'kept')
        await subject.remote.remove(at('tree'))
        await subject.remote.remove(at('link'))
        await subject.remote.remove(at('nothing'))
        assert.deepEqual(await subject.remote.list(subject.at('case')), ['kept'])
        assert.deepEqual(await subject.remote.list(at('kept')), ['file'])
      }))

    it('refuses to remove the root directory, by whatever name', async () => {
      for (const path of ['/', '//', '/..', '/tmp/..'])
        await assert.rejects(subject.remote.remove(path), failsWith('REMOTE_CANNOT'), path)
    })
  })
}

function readers(subject: Subject) {
  return {
    bytesOf: (name: string) => subject.remote.readFile(subject.at(name)),
    same: (found: Uint8Array | undefined, wanted: Uint8Array, what = '') => {
      assert.ok(found !== undefined, `${what} is missing`)
      // deepEqual of large buffers would print megabytes
      assert.ok(Buffer.compare(found, wanted) === 0, `${what}: ${found.length} bytes differ`)
    },
  }
}
