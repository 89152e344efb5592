//! What a program can read and write.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::support::{Sandbox, TELL};
use csw_sandbox::LayerSet;

#[test]
fn only_the_named_files_are_there() {
    let sandbox = Sandbox::new();
    let secret = sandbox.folder.path().join("secret");
    fs::write(&secret, "key").expect("secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o666)).expect("mode");
    let out = sandbox.python(&format!(
        "{TELL}
tell('secret', lambda: open({secret:?}).read())
tell('shadow', lambda: open('/etc/shadow').read())
tell('root', lambda: sorted(os.listdir('/root')))
print(os.path.exists('/work'), os.path.exists('/var'), os.path.exists('/.machine'))"
    ));
    assert!(out.contains("secret refused"), "{out}");
    assert!(out.contains("shadow refused"), "{out}");
    assert!(out.contains("root refused"), "{out}");
    assert!(out.contains("False False False"), "{out}");
}

#[test]
fn the_environment_is_readable_and_never_writable() {
    let mut sandbox = Sandbox::new();
    let environment = sandbox.folder.path().join("env");
    fs::create_dir(&environment).expect("env");
    // Even where the file modes would allow it.
    fs::set_permissions(&environment, fs::Permissions::from_mode(0o777)).expect("mode");
    fs::write(environment.join("module.py"), "X = 1").expect("module");
    fs::set_permissions(environment.join("module.py"), fs::Permissions::from_mode(0o666)).expect("mode");
    sandbox.confinement.read_only.push(environment.clone());
    let script = format!(
        "{TELL}
p = {environment:?}
tell('read', lambda: open(p + '/module.py').read())
tell('change', lambda: open(p + '/module.py', 'w'))
tell('add', lambda: open(p + '/new', 'w'))
tell('remove', lambda: os.remove(p + '/module.py'))
tell('usr', lambda: open('/usr/new', 'w'))
tell('top', lambda: open('/new', 'w'))
tell('own', lambda: open('own', 'w').write('x'))
tell('tmp', lambda: open('/tmp/own', 'w').write('x'))"
    );
    let expected = |out: &str| {
        for word in ["read done X = 1", "own done 1", "tmp done 1"] {
            assert!(out.contains(word), "{word}: {out}");
        }
        for word in ["change", "add", "remove", "usr", "top"] {
            assert!(out.contains(&format!("{word} refused")), "{word}: {out}");
        }
    };
    expected(&sandbox.python(&script));
    assert_eq!(fs::read_to_string(environment.join("module.py")).expect("read"), "X = 1");
    // Each wall holds alone.
    sandbox.confinement.layers.landlock = false;
    expected(&sandbox.python(&script));
}

#[test]
fn landlock_alone_keeps_files_apart() {
    let mut sandbox = Sandbox::new();
    if !sandbox.confinement.layers.landlock {
        println!("skipped: no Landlock");
        return;
    }
    let secret = sandbox.folder.path().join("secret");
    fs::write(&secret, "key").expect("secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o666)).expect("mode");
    let layers = LayerSet { namespaces: false, user_namespace: false, ..sandbox.confinement.layers };
    sandbox.confinement.layers = layers;
    let out = sandbox.python(&format!(
        "{TELL}
tell('secret', lambda: open({secret:?}).read())
tell('settings', lambda: open('/etc/hostname').read())
tell('tmp', lambda: open('/tmp/x', 'w'))
tell('own', lambda: open('own', 'w').write('x'))"
    ));
    assert!(out.contains("secret refused"), "{out}");
    assert!(out.contains("settings refused"), "what is in /etc is the machine's: {out}");
    assert!(out.contains("tmp refused"), "{out}");
    assert!(out.contains("own done"), "{out}");
}

#[test]
fn temporary_files_are_private_and_bounded() {
    let mut sandbox = Sandbox::new();
    sandbox.confinement.temporary_bytes = Some(1 << 20);
    let out = sandbox.python(&format!(
        "{TELL}
def fill():
    with open('/tmp/big', 'wb') as f: f.write(bytes(2 << 20))
tell('fill', fill)"
    ));
    assert!(out.contains("fill refused 28"), "{out}");
    assert!(!fs::exists("/tmp/big").expect("look"));
}

#[test]
fn a_missing_path_is_named() {
    let mut sandbox = Sandbox::new();
    sandbox.confinement.read_only.push("/no/such/folder".into());
    let output = sandbox.run("/bin/true", &[]);
    assert_eq!(output.status.code(), Some(i32::from(csw_sandbox::SETUP_FAILED)));
    assert!(super::support::text(&output.stderr).contains("/no/such/folder"));
}
