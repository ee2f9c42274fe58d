import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { after, suite, test } from 'node:test'
import { DOMParser } from '@xmldom/xmldom'
import { runTool } from '../../base/process.ts'
import { MiB } from '../../base/units.ts'
import type { Facts } from '../../remotes/facts.ts'
import { findFaults } from '../../schema/find-faults.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { pushJob } from '../../testing/push-job.ts'
import { openTestDisk } from '../../testing/pushed-disk.ts'
import { recipeOf } from '../../testing/recipe-text.ts'
import { makeSparseDisk } from '../../testing/sparse-disk.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { OVA_FORMS, type OvaOptions } from './_ova-schemas.ts'
import { ovaTarget as target } from './ova.ts'

const at = await tempDir()
await makeSparseDisk(at('disk.raw'), 24 * MiB + 512)
const disk = await openTestDisk(at('disk.raw'), at('.'))
after(async () => await disk[Symbol.asyncDispose]())

let made = 0
const artifact = async (options: OvaOptions) => {
  const provider = { name: 'none', options: {}, credentials: {} }
  const { job } = pushJob({ disk, options, provider })
  const opened = await target.openArtifact!(job)
  const chunks: Uint8Array[] = []
  for await (const chunk of opened.stream(job.context.signal)) chunks.push(Uint8Array.from(chunk))
  const bytes = Buffer.concat(chunks)
  const directory = at(`out-${made++}`)
  await mkdir(directory)
  await writeFile(`${directory}/archive`, bytes)
  const names = (await runTool(['tar', '-tf', `${directory}/archive`]))
    .toString()
    .trim()
    .split('\n')
  await runTool(['tar', '-xf', `${directory}/archive`, '-C', directory])
  const read = async (name: string) => await readFile(`${directory}/${name}`)
  return { opened, bytes, names, read, directory }
}
/** The disk in a file is the disk, as qemu-img sees both. */
const demandSame = async (path: string, format: string) =>
  await runTool(['qemu-img', 'compare', '-f', 'raw', '-F', format, at('disk.raw'), path])
const parse = (xml: Buffer) => {
  const document = new DOMParser().parseFromString(xml.toString(), 'text/xml')
  return (tag: string) =>
    Array.from(document.getElementsByTagName(tag)).map(({ textContent }) => textContent)
}
const debian: Facts = {
  distro: 'debian',
  family: 'debian',
  version: '12',
  codename: 'bookworm',
  prettyName: 'Debian 12',
  architecture: 'x86_64',
}

suite('OVAs', () => {
  for (const [ova_form, type] of [
    ['vmware', 'vmx-13'],
    ['virtualbox', 'virtualbox-2.2'],
  ] as const)
    test(`for ${ova_form}: descriptor, manifest, disk, in that order, with digests that hold`, async () => {
      const { opened, bytes, names, read, directory } = await artifact({
        ova_form,
        ovf_name: 'web',
      })
      assert.deepEqual(names, ['web.ovf', 'web.mf', 'web-disk1.vmdk'])
      assert.deepEqual([opened.fileName, opened.size], ['web.ova', bytes.length])
      for (const line of (await read('web.mf')).toString().trim().split('\n')) {
        const [, name = '', digest] = /^SHA256\((.+)\)= ([0-9a-f]{64})$/.exec(line) ?? []
        assert.equal(
          createHash('sha256')
            .update(await read(name))
            .digest('hex'),
          digest,
        )
      }
      await demandSame(`${directory}/web-disk1.vmdk`, 'vmdk')
      const tag = parse(await read('web.ovf'))
      assert.deepEqual(tag('vssd:VirtualSystemType'), [type])
      assert.deepEqual(tag('Name'), ['web'])
    })

  test('are made of a name of any length', async () => {
    const { names } = await artifact({ ovf_name: 'n'.repeat(255) })
    assert.deepEqual(
      new Set(names.map((name) => name.replace(/^n+/, ''))),
      new Set(['.ovf', '.mf', '-disk1.vmdk']),
    )
  })

  test('have the hardware that was asked for, and texts that mean nothing in XML', async () => {
    const { read, names } = await artifact({
      ovf_name: 'a <b> & "c"',
      ovf_cpu_count: 4,
      ovf_memory_mb: 512,
      ova_network: 'DMZ & co',
      vsphere_virtual_system_type: 'vmx-19',
      vsphere_scsi_controller_type: 'VirtualSCSI',
      vsphere_network_controller_type: 'VmxNet3',
      vsphere_os_type: 'debian12_64Guest',
      vsphere_nested_virt: true,
      vsphere_cdrom: true,
      vsphere_product_name: 'Product <1>',
      vsphere_product_vendor_name: 'Vendor',
      vsphere_product_version: '1.2',
    })
    assert.equal(names[0], 'a-b-c-.ovf')
    const text = await read(names[0] ?? '')
    const tag = parse(text)
    assert.deepEqual(tag('Name'), ['a <b> & "c"'])
    assert.deepEqual(tag('rasd:VirtualQuantity'), ['4', '512'])
    assert.deepEqual(tag('rasd:ResourceSubType'), ['VirtualSCSI', 'VmxNet3'])
    assert.deepEqual(tag('rasd:Connection'), ['DMZ & co'])
    assert.deepEqual(
      [tag('Product'), tag('Vendor'), tag('Version')],
      [['Product <1>'], ['Vendor'], ['1.2']],
    )
    assert.deepEqual(tag('rasd:ResourceType'), ['3', '4', '6', '17', '10', '5', '15'])
    assert.match(text.toString(), /vmw:osType="debian12_64Guest"[\s\S]*nestedHVEnabled/)
  })

  test('are the same bytes each time', async () => {
    const [one, other] = [await artifact({}), await artifact({})]
    assert.ok(one.bytes.equals(other.bytes))
  })

  test('end when they are interrupted', async () => {
    const provider = { name: 'none', options: {}, credentials: {} }
    const { job } = pushJob({ disk, options: {}, provider })
    const opened = await target.openArtifact!(job)
    await assert.rejects(async () => {
      for await (const chunk of opened.stream(AbortSignal.abort())) assert.ok(chunk)
    }, failsWith('INTERRUPTED'))
  })
})

suite('Vagrant boxes', () => {
  for (const [form, provider, name, format] of [
    ['vagrant-libvirt', 'libvirt', 'box.img', 'qcow2'],
    ['vagrant-virtualbox', 'virtualbox', 'box-disk1.vmdk', 'vmdk'],
    ['vagrant-vmware', 'vmware_desktop', 'disk.vmdk', 'vmdk'],
    ['vagrant-hyperv', 'hyperv', 'Virtual Hard Disks/disk.vhdx', 'vhdx'],
  ] as const)
    test(`${form}: a packed tar with metadata, a Vagrantfile, and the disk`, async () => {
      const { opened, bytes, names, read, directory } = await artifact({ ova_form: form })
      assert.equal(bytes.readUInt16BE(0), 0x1f8b)
      assert.ok(opened.fileName.endsWith(`.${provider}.box`))
      assert.equal(JSON.parse((await read('metadata.json')).toString()).provider, provider)
      assert.match((await read('Vagrantfile')).toString(), /^Vagrant\.configure\("2"\) do/)
      assert.equal(names.at(-1), name)
      await demandSame(`${directory}/${name}`, format)
    })

  test('libvirt is told how large the disk is', async () => {
    const { read } = await artifact({ rhevm_ova_format: 'vagrant-libvirt', ovf_memory_mb: 700 })
    assert.deepEqual(JSON.parse((await read('metadata.json')).toString()), {
      provider: 'libvirt',
      format: 'qcow2',
      virtual_size: 1,
    })
    assert.match((await read('Vagrantfile')).toString(), /libvirt\.memory = 700/)
  })

  test('VirtualBox is told of the disk by a descriptor, VMware by a vmx, Hyper-V by its XML', async () => {
    const box = await artifact({ vsphere_ova_format: 'vagrant-virtualbox' })
    assert.match((await box.read('box.ovf')).toString(), /ovf:href="box-disk1\.vmdk"/)
    const fusion = await artifact({
      vsphere_ova_format: 'vagrant-vmware-fusion',
      ovf_name: 'x"\nmalice = "y',
    })
    const vmx = (await fusion.read('box.vmx')).toString()
    assert.match(vmx, /^scsi0:0\.fileName = "disk\.vmdk"$/m)
    assert.doesNotMatch(vmx, /^malice/m)
    const hyperv = await artifact({ hyperv_ova_format: 'hyperv-vagrant', ovf_cpu_count: 3 })
    const tag = parse(await hyperv.read('Virtual Machines/box.xml'))
    assert.deepEqual([tag('subtype'), tag('count'), tag('pathname')], [['1'], ['3'], ['disk.vhdx']])
  })

  test('a directory is a text to Ruby, whatever is in it', async () => {
    const { read } = await artifact({
      ova_form: 'vagrant-libvirt',
      vagrant_sync_directory: "/srv/#{`id`}'\\",
    })
    assert.match((await read('Vagrantfile')).toString(), /'\/srv\/#\{`id`\}\\'\\\\', type: "rsync"/)
  })

  test('have Vagrant’s user and key, which nothing else has', () => {
    const box = target.fit!(debian, { ova_form: 'vagrant-libvirt' }) ?? ''
    assert.match(box, /name: vagrant[\s\S]*authorized_key[\s\S]*ssh-rsa[\s\S]*sudoers\.d\/vagrant/)
    assert.equal(recipeOf(box).steps.length > 5, true)
    const [, blob = ''] = /ssh-rsa\s+(\S+)/.exec(box) ?? []
    const key = Buffer.from(blob, 'base64')
    assert.equal(key.toString('latin1', 4, 11), 'ssh-rsa')
    assert.equal(key.length, 4 + 7 + 4 + 1 + 4 + 257)
    for (const ova_form of ['vmware', 'virtualbox'] as const)
      assert.doesNotMatch(target.fit!(debian, { ova_form }) ?? '', /vagrant/)
    const without = { ova_form: 'vagrant-libvirt', vagrant_user: false } as const
    assert.doesNotMatch(target.fit!(debian, without) ?? '', /ssh-rsa/)
  })
})

suite('options of the OVA target', () => {
  test('every form is known, and nothing else', () => {
    for (const ova_form of OVA_FORMS) assert.deepEqual(findFaults(target.options, { ova_form }), [])
    assert.notDeepEqual(findFaults(target.options, { ova_form: 'vagrant-qemu' }), [])
    assert.equal(target.format({}), 'vmdk-stream')
    assert.equal(target.format({ ova_form: 'vagrant-hyperv' }), 'vhdx')
  })
})
