import { type AnswerInput, xmlText } from './answer-input.ts'

/**
 * An answer file for the setup of Windows from Vista on: the whole first disk, the first edition of the medium (or
 * that of the product key), an administrator's password, power off when it is set up.
 * Source: Microsoft's Unattended Windows Setup Reference. Windows takes no hash, so the file holds the password: base64
 * of it with the name of its element behind, in UTF-16, as Microsoft's tools write it. It is no encryption.
 */
export function makeUnattend(input: AnswerInput): string {
  const { os, productKey, firmware } = input
  const arch = os.arch === 'x86_64' ? 'amd64' : 'x86'
  const component = (name: string, content: string) =>
    `    <component name="${name}" processorArchitecture="${arch}" publicKeyToken="31bf3856ad364e35" language="neutral" versionScope="nonSxS">\n${content}\n    </component>`
  const password = (element: string) =>
    `<Value>${Buffer.from(input.password + element, 'utf16le').toString('base64')}</Value><PlainText>false</PlainText>`
  const language =
    '<InputLocale>en-US</InputLocale><SystemLocale>en-US</SystemLocale><UILanguage>en-US</UILanguage><UserLocale>en-US</UserLocale>'
  const setup = `      <DiskConfiguration><WillShowUI>OnError</WillShowUI>
        <Disk wcm:action="add"><DiskID>0</DiskID><WillWipeDisk>true</WillWipeDisk>
          ${firmware === 'uefi' ? UEFI_DISK : BIOS_DISK}
        </Disk>
      </DiskConfiguration>
      <ImageInstall><OSImage>
        <InstallFrom><MetaData wcm:action="add"><Key>/IMAGE/INDEX</Key><Value>1</Value></MetaData></InstallFrom>
        <InstallTo><DiskID>0</DiskID><PartitionID>${firmware === 'uefi' ? 3 : 1}</PartitionID></InstallTo>
      </OSImage></ImageInstall>
      <UserData><AcceptEula>true</AcceptEula>${
        productKey === null
          ? ''
          : `<ProductKey><Key>${xmlText(productKey)}</Key><WillShowUI>OnError</WillShowUI></ProductKey>`
      }</UserData>`
  const account = `      <OOBE><HideEULAPage>true</HideEULAPage><NetworkLocation>Work</NetworkLocation><ProtectYourPC>3</ProtectYourPC></OOBE>
      <UserAccounts><AdministratorPassword>${password('AdministratorPassword')}</AdministratorPassword></UserAccounts>
      <AutoLogon><Enabled>true</Enabled><LogonCount>1</LogonCount><Username>Administrator</Username><Password>${password('Password')}</Password></AutoLogon>
      <FirstLogonCommands><SynchronousCommand wcm:action="add"><Order>1</Order><CommandLine>shutdown /s /t 10</CommandLine></SynchronousCommand></FirstLogonCommands>`
  return `<?xml version="1.0" encoding="utf-8"?>
<unattend xmlns="urn:schemas-microsoft-com:unattend" xmlns:wcm="http://schemas.microsoft.com/WMIConfig/2002/State">
  <settings pass="windowsPE">
${component('Microsoft-Windows-International-Core-WinPE', `      <SetupUILanguage><UILanguage>en-US</UILanguage></SetupUILanguage>${language}`)}
${component('Microsoft-Windows-Setup', setup)}
  </settings>
  <settings pass="oobeSystem">
${component('Microsoft-Windows-Shell-Setup', account)}
  </settings>
</unattend>
`
}

const BIOS_DISK = `<CreatePartitions><CreatePartition wcm:action="add"><Order>1</Order><Type>Primary</Type><Extend>true</Extend></CreatePartition></CreatePartitions>
          <ModifyPartitions><ModifyPartition wcm:action="add"><Order>1</Order><PartitionID>1</PartitionID><Active>true</Active><Format>NTFS</Format></ModifyPartition></ModifyPartitions>`

const UEFI_DISK = `<CreatePartitions>
            <CreatePartition wcm:action="add"><Order>1</Order><Type>EFI</Type><Size>100</Size></CreatePartition>
            <CreatePartition wcm:action="add"><Order>2</Order><Type>MSR</Type><Size>16</Size></CreatePartition>
            <CreatePartition wcm:action="add"><Order>3</Order><Type>Primary</Type><Extend>true</Extend></CreatePartition>
          </CreatePartitions>
          <ModifyPartitions>
            <ModifyPartition wcm:action="add"><Order>1</Order><PartitionID>1</PartitionID><Format>FAT32</Format></ModifyPartition>
            <ModifyPartition wcm:action="add"><Order>2</Order><PartitionID>3</PartitionID><Format>NTFS</Format></ModifyPartition>
          </ModifyPartitions>`
