@rem The scripts of package.json say `exec node ...`, so that no shell stands between npm's signals and node. Windows has neither.
@%*
