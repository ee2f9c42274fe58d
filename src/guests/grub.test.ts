import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { makeContext } from '../base/context.ts'
import { openRemote } from '../remotes/open-remote.ts'
import { makeScriptedRemote } from '../testing/scripted-remote.ts'
import {
  editBootLines,
  editCommandLine,
  parseCommandLine,
  parseMenu,
  readBootLines,
} from './grub.ts'

const LINUX = 'GRUB_CMDLINE_LINUX'

describe("GRUB's settings", () => {
  it('are read however they are quoted, the last one winning', () => {
    const read = (text: string) => parseCommandLine(text, LINUX)
    assert.deepEqual(read(`${LINUX}="a b=c"\n`), ['a', 'b=c'])
    assert.deepEqual(read(`${LINUX}='a  b'\n${LINUX}=c # why\n`), ['c'])
    assert.deepEqual(read(`export ${LINUX}=""\n`), [])
    assert.equal(read(`#${LINUX}="a"\n${LINUX}_DEFAULT="b"\n`), undefined)
  })

  it('keep all that is not their words when they are edited', () => {
    const text = `# top\n${LINUX}='a'   # why\n${LINUX}_DEFAULT="q"\n`
    assert.equal(
      editCommandLine(text, LINUX, (words) => [...words, 'b=1']),
      `# top\n${LINUX}='a b=1'   # why\n${LINUX}_DEFAULT="q"\n`,
    )
    assert.equal(
      editCommandLine(text, LINUX, (words) => words),
      text,
    )
  })

  it('are read back after any edit', () => {
    const word = fc.stringMatching(/^[a-z0-9_.,:=-]{1,10}$/)
    fc.assert(
      fc.property(fc.array(word), fc.array(word), fc.string(), (before, after, other) => {
        const text = `${other.replaceAll('\n', ' ')}\n${LINUX}="${before.join(' ')}"\n`
        const edited = editCommandLine(text, LINUX, () => after)
        assert.deepEqual(parseCommandLine(edited, LINUX), after)
      }),
    )
  })
})

describe('what the boot loader offers', () => {
  it('is every kernel line of the menu', () => {
    const menu = `menuentry 'x' {\n\tlinux\t/boot/vmlinuz root=UUID=1 ro  quiet\n\tinitrd /x\n}\n\tlinuxefi /v root=2 single\n\tlinux16 /boot/memtest\n`
    assert.deepEqual(parseMenu(menu), [
      ['root=UUID=1', 'ro', 'quiet'],
      ['root=2', 'single'],
    ])
  })

  it('keeps all that is not its words when it is edited', () => {
    const menu = '# x\n\tlinux\t/boot/v root=1  quiet\n\tinitrd /x\noptions a\n'
    assert.equal(
      editBootLines(menu, (words) => [...words, 'b']),
      '# x\n\tlinux\t/boot/v root=1 quiet b\n\tinitrd /x\noptions a b\n',
    )
    assert.equal(
      editBootLines(menu, (words) => words),
      menu,
    )
  })

  it('is the options of boot loader entries, with the variables of the environment block', async () => {
    const { driver } = makeScriptedRemote({
      files: {
        '/boot/loader/entries/a.conf': 'title A\nlinux /v\noptions root=x $kernelopts ${other}\n',
        '/boot/grub2/grubenv': '# GRUB Environment Block\nkernelopts=ro quiet\n#####',
      },
    })
    assert.deepEqual(await readBootLines(openRemote(driver, makeContext())), [
      { path: '/boot/loader/entries/a.conf', lines: [['root=x', 'ro', 'quiet', '${other}']] },
    ])
  })
})
