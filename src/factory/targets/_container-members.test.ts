import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import type { StoredMember } from '../../formats/read-tree-archive.ts'
import { leaveOut, matches, pickMembers } from './_container-members.ts'

const member = (path: string, node: StoredMember['node'], names: string[] = []): StoredMember => ({
  path,
  node,
  places: [],
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: 0,
  extended: new Map(names.map((name) => [name, Buffer.from('x')])),
})
const file = { type: 'file', size: 0, data: [] } as const
const pathsOf = (members: readonly StoredMember[]) => members.map(({ path }) => path)

suite('the files of a container', () => {
  test('patterns match as regular expressions of the same meaning do', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.'), maxLength: 12 })
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*', '?'), maxLength: 8 })
    fc.assert(
      fc.property(text, pattern, (path, glob) => {
        const source = glob.replaceAll('*', '.*').replaceAll('?', '.')
        assert.equal(matches(path, glob), new RegExp(`^${source}$`, 's').test(path))
      }),
    )
  })

  test('a pattern that is made to be slow is not', () => {
    assert.equal(matches('a'.repeat(4000), `${'*a'.repeat(100)}b`), false)
  })

  test('patterns come as a list or as lines, from the root on', () => {
    assert.deepEqual(leaveOut(), ['etc/fstab'])
    assert.deepEqual(leaveOut('./etc/a\n/b/ , c'), ['etc/a', 'b', 'c'])
    assert.deepEqual(leaveOut([]), [])
  })

  test('what is below a directory that is left out goes with it', () => {
    const directory = { type: 'directory' } as const
    const all = [
      member('', directory),
      member('a', directory),
      member('a/b', file),
      member('c', file),
    ]
    assert.deepEqual(pathsOf(pickMembers(all, ['a']).members), ['c'])
  })

  test('devices are left out', () => {
    const all = [member('null', { type: 'character', major: 1, minor: 3 }), member('x', file)]
    assert.deepEqual(pickMembers(all, []).left, 1)
    assert.deepEqual(pathsOf(pickMembers(all, []).members), ['x'])
  })

  test('the first link to a file that is left out becomes the file', () => {
    const link = { type: 'hard link', target: 'a' } as const
    const { members } = pickMembers(
      [member('a', file), member('b', link), member('c', link)],
      ['a'],
    )
    assert.deepEqual(
      members.map(({ path, node }) => [path, node.type, 'target' in node ? node.target : '']),
      [
        ['b', 'file', ''],
        ['c', 'hard link', 'b'],
      ],
    )
  })

  test('attributes of this host’s kernel stay behind', () => {
    const names = ['security.capability', 'security.selinux', 'user.a', 'trusted.overlay.opaque']
    const { members } = pickMembers([member('a', file, names)], [])
    assert.deepEqual([...(members[0]?.extended.keys() ?? [])], ['security.capability', 'user.a'])
  })
})
