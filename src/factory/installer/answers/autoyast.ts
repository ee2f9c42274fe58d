import { type AnswerInput, keyCommands, xmlText } from './answer-input.ts'

/**
 * An answer file for YaST: the whole disk with one root partition, sshd, power off.
 * Source: the AutoYaST guide of openSUSE Leap 15 and SUSE Linux Enterprise 15.
 */
export function makeAutoyast(input: AnswerInput): string {
  const { passwordHash, device, authorizedKey, tree } = input
  const script = keyCommands('', authorizedKey).join('\n')
  const scripts =
    script === ''
      ? ''
      : `
  <scripts>
    <chroot-scripts config:type="list">
      <script>
        <chrooted config:type="boolean">true</chrooted>
        <source>${xmlText(script)}</source>
      </script>
    </chroot-scripts>
  </scripts>`
  const addOn =
    tree === undefined
      ? ''
      : `
  <add-on>
    <add_on_products config:type="list">
      <listentry><media_url>${xmlText(tree.href)}</media_url></listentry>
    </add_on_products>
  </add-on>`
  return `<?xml version="1.0"?>
<!DOCTYPE profile>
<!-- Made by Ingot. -->
<profile xmlns="http://www.suse.com/1.0/yast2ns" xmlns:config="http://www.suse.com/1.0/configns">
  <general>
    <mode>
      <confirm config:type="boolean">false</confirm>
      <final_halt config:type="boolean">true</final_halt>
      <halt config:type="boolean">false</halt>
      <second_stage config:type="boolean">false</second_stage>
    </mode>
  </general>${addOn}
  <language><language>en_US</language></language>
  <timezone><hwclock>UTC</hwclock><timezone>UTC</timezone></timezone>
  <keyboard><keymap>english-us</keymap></keyboard>
  <networking>
    <interfaces config:type="list">
      <interface><bootproto>dhcp</bootproto><device>eth0</device><startmode>auto</startmode></interface>
    </interfaces>
  </networking>
  <partitioning config:type="list">
    <drive>
      <device>${xmlText(device)}</device>
      <initialize config:type="boolean">true</initialize>
      <use>all</use>
      <partitions config:type="list">
        <partition>
          <mount>/</mount>
          <filesystem config:type="symbol">ext4</filesystem>
          <size>max</size>
        </partition>
      </partitions>
    </drive>
  </partitioning>
  <bootloader><global><append>console=tty0 console=ttyS0</append></global></bootloader>
  <users config:type="list">
    <user>
      <username>root</username>
      <encrypted config:type="boolean">true</encrypted>
      <user_password>${xmlText(passwordHash)}</user_password>
    </user>
  </users>
  <software>
    <packages config:type="list"><package>openssh</package></packages>
    <patterns config:type="list"><pattern>minimal_base</pattern></patterns>
  </software>
  <services-manager>
    <services><enable config:type="list"><service>sshd</service></enable></services>
  </services-manager>${scripts}
</profile>
`
}
